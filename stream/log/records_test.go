package log

import (
	"fmt"
	"testing"
)

// A table is bounded: those that would end first go, and nothing of them is left.
func TestRecordTableIsBounded(t *testing.T) {
	table := RecordTable{Most: 3}
	for i, until := range []int64{50, 20, 40, 30, 60} {
		table.Put(fmt.Sprint(i), []byte("value"), until, 0)
	}
	for i, want := range []bool{true, false, true, false, true} {
		if _, ok := table.Get(fmt.Sprint(i), 0); ok != want {
			t.Errorf("record %d: %v", i, ok)
		}
	}
	if count, bytes := table.Size(); count != 3 || bytes != 18 || len(table.all) != 3 {
		t.Errorf("%d records, %d bytes", count, bytes)
	}
	table.Put("4", nil, 100, 45)
	if count, _ := table.Size(); count != 1 {
		t.Errorf("%d records after one was removed and one ended", count)
	}
}
