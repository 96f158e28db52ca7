//go:build unix

package redis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// Two nodes share records; what Redis keeps of them is bounded, and goes by itself.
func TestRecordsAreSharedAndBounded(t *testing.T) {
	s := redistest.Start(t)
	o := Options{Address: redisconn.Address{Addrs: []string{s.Addr}}, Hub: "h"}
	a, b := openRedis(t, o), openRedis(t, o)
	ends := time.Now().Add(time.Hour)
	logtest.Must(t, a.PutRecords([]log.Record{{ID: "x", Value: []byte("of a"), Until: ends}}))
	wantRecord := func(want string) {
		t.Helper()
		if got, ok, err := b.Record("x"); err != nil || string(got) != want || ok != (want != "") {
			t.Errorf("b has %q, %v, %v", got, ok, err)
		}
	}
	wantRecord("of a")
	var many []log.Record
	for i := range 3 * recordsAtOnce {
		many = append(many, log.Record{ID: fmt.Sprint(i), Value: []byte("v"), Until: time.Now().Add(10 * time.Millisecond)})
	}
	logtest.Must(t, a.PutRecords(many))
	redistest.Until(t, "what has ended is gone", func() bool {
		logtest.Must(t, a.PutRecords([]log.Record{{ID: "none"}}))
		return s.CLI("HLEN", a.records[0]) == "1" && s.CLI("ZCARD", a.records[1]) == "1"
	})
	wantRecord("of a")
	args := []string{"", "3"}
	for i := range 5 { // the first ones end first
		args = append(args, fmt.Sprint(i), strconv.FormatInt(ends.UnixMilli()+int64(i)+1, 10), "v")
	}
	_, err := a.callRecords(putRecordsScript, args)
	logtest.Must(t, err)
	if got := slices.Sorted(slices.Values(strings.Fields(s.CLI("HKEYS", a.records[0])))); !slices.Equal(got, []string{"2", "3", "4"}) {
		t.Errorf("kept: %q", got)
	}
	wantRecord("")
}
