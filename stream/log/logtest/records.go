package logtest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-078801ba/sidestream/stream/log"
)

func testRecords(t *testing.T, s Store) {
	now := Time
	clock := func() time.Time { return now }
	l := s.Open(t, log.Retention{}, clock)
	ends := now.Add(time.Minute)
	odd := "{*}:\x00\n\xff"
	big := strings.Repeat("x", log.MaxRecord)
	Must(t, l.PutRecords(nil))
	Must(t, l.PutRecords([]log.Record{
		{ID: "a", Value: []byte("first"), Until: ends}, {ID: odd, Value: []byte{0, '\n', 255}, Until: ends},
		{ID: strings.Repeat("i", log.MaxRecordID), Value: []byte(big), Until: ends},
		{ID: "a", Value: []byte("second"), Until: ends}, {ID: "over", Value: []byte("x"), Until: now},
	}))
	wantRecords(t, l, map[string]string{"a": "second", odd: "\x00\n\xff", strings.Repeat("i", log.MaxRecordID): big, "over": "", "none": ""})
	for _, r := range []log.Record{{Value: []byte("x"), Until: ends}, {ID: strings.Repeat("i", log.MaxRecordID+1), Until: ends}, {ID: "b", Value: []byte(big + "x"), Until: ends}} {
		if err := l.PutRecords([]log.Record{{ID: "c", Value: []byte("x"), Until: ends}, r}); !errors.Is(err, log.ErrRecord) {
			t.Errorf("a record that is too large: %v", err)
		}
	}
	wantRecords(t, l, map[string]string{"c": ""})
	Must(t, l.PutRecords([]log.Record{{ID: odd}, {ID: "none"}}))
	wantRecords(t, l, map[string]string{"a": "second", odd: ""})
	if got := l.Stats(); got.Events != 0 || got.Channels != 0 || l.Head().Seq != 0 {
		t.Errorf("records count as events: %+v", got)
	}
	if s.Reopen != nil {
		l = s.Reopen(t, l, log.Retention{}, clock)
		wantRecords(t, l, map[string]string{"a": "second", odd: ""})
	}
	now = ends.Add(-time.Millisecond)
	wantRecords(t, l, map[string]string{"a": "second"})
	now = ends
	wantRecords(t, l, map[string]string{"a": ""})
}

func wantRecords(t Fataler, l log.Log, want map[string]string) {
	for id, value := range want {
		if got, ok, err := l.Record(id); err != nil || string(got) != value || ok != (value != "") {
			t.Fatal(fmt.Sprintf("record %q is %.40q, %v, %v; not %.40q", id, got, ok, err, value))
		}
	}
}

// runRecords compares random histories of records with a map.
func runRecords(t *testing.T, rt *rapid.T, s Store) {
	now := Time
	clock := func() time.Time { return now }
	l := s.Open(t, log.Retention{}, clock)
	defer func() { l.Close() }()
	held := map[string]log.Record{}
	genID := rapid.SampledFrom([]string{"a", "b", "c", "d"})
	actions := map[string]func(*rapid.T){
		"put": func(t *rapid.T) {
			records := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) log.Record {
				return log.Record{
					ID: genID.Draw(t, "id"), Value: []byte(rapid.StringN(0, 8, -1).Draw(t, "value")),
					Until: now.Add(rapid.SampledFrom([]time.Duration{-time.Second, time.Second, time.Minute, time.Hour}).Draw(t, "for")),
				}
			}), 0, 5).Draw(t, "records")
			if err := l.PutRecords(records); err != nil {
				t.Fatal(err)
			}
			for _, r := range records {
				held[r.ID] = r
			}
		},
		"time passes": func(t *rapid.T) {
			now = now.Add(rapid.SampledFrom([]time.Duration{time.Millisecond, 40 * time.Second, 2 * time.Hour}).Draw(t, "by"))
		},
		"": func(t *rapid.T) {
			for _, id := range []string{"a", "b", "c", "d"} {
				want := string(held[id].Value)
				if !held[id].Until.After(now) {
					want = ""
				}
				wantRecords(t, l, map[string]string{id: want})
			}
		},
	}
	if s.Reopen != nil {
		actions["reopen"] = func(rt *rapid.T) {
			if rapid.IntRange(0, 7).Draw(rt, "turn") == 0 { // it takes long
				l = s.Reopen(t, l, log.Retention{}, clock)
			}
		}
	}
	rt.Repeat(actions)
}
