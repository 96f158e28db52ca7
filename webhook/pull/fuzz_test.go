package pull

import (
	"net/http"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzAnswer: whatever an app answers, it is taken apart without a panic, and the mark
// that is made of it can be read again.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`[{"id":1,"text":"a","at":1700000000000},{"id":2}]`, `[]`, `{}`, `[{"id":"x"},{"id":"x"}]`, `[{"id":1e400,"at":"never"}]`, `{"id":9}`,
	} {
		f.Add([]byte(seed), "5", int64(1700000000000))
	}
	byID, err := newPlan(fakeConfig())
	if err != nil {
		f.Fatal(err)
	}
	other := fakeConfig("last_time {item.at}")
	other.URI = "/rooms/{channel}?since={last.millis}"
	byTime, err := newPlan(other)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, id string, at int64) {
		for _, p := range []*plan{byID, byTime} {
			l, err := p.read("1", &Answer{Status: http.StatusOK, Body: body})
			if err != nil {
				continue
			}
			m := mark{Behind: place{ID: id, Time: at}}
			fresh, _ := m.fresh(l.items, p.byTime)
			m.advance(fresh, place{}, time.UnixMilli(at), time.Second, p.byTime)
			again, known := parseMark(m.String())
			if !known || len(again.Seen) != len(m.Seen) {
				t.Fatalf("%s", m.String())
			}
			if twice, _ := m.fresh(fresh, p.byTime); len(twice) > 0 && len(fresh) <= maxSeen {
				t.Fatalf("%d of %d are new again", len(twice), len(fresh))
			}
			if _, err := p.request(p.behind, values{channel: "1", last: m.Behind}); err != nil && id != "" {
				t.Logf("%v", err)
			}
		}
	})
}

// FuzzURI: no channel and no id makes a question about something else.
func FuzzURI(f *testing.F) {
	for _, seed := range []string{"1", "a/b", "../x", "a?b=c", "%2e%2e", "a b", "a#b", "ü", "\n"} {
		f.Add(seed, seed)
	}
	q, err := parseQuestion("uri", "/rooms/{channel}/list?after={last.id}&limit=9", false)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, channel, id string) {
		if !utf8.ValidString(channel) || !utf8.ValidString(id) {
			return // what is read of a payload is valid
		}
		uri, err := q.fill(&values{channel: channel, last: place{ID: id}})
		if err != nil {
			return
		}
		r, err := http.NewRequest(http.MethodGet, "http://app"+uri, nil)
		if err != nil {
			t.Fatalf("%q", uri)
		}
		if r.URL.Host != "app" || r.URL.Query().Get("limit") != "9" || len(r.URL.Query()["after"]) > 1 || r.URL.Query().Get("after") != id {
			t.Fatalf("%q", uri)
		}
		if r.URL.Path != "/rooms/"+channel+"/list" {
			t.Fatalf("%q is another path", uri)
		}
	})
}
