package format

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var presentAt = time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC)

func joined(user string) Presence {
	return Presence{Kind: "joined", Channel: "acme/main", User: user, State: "active", Since: presentAt, Changed: presentAt, Count: 1}
}

func TestPresenceInFlowdocksWords(t *testing.T) {
	seven, name := joined("7"), joined("j\r\n\u00e9")
	left := Presence{Kind: "left", Channel: "acme/main", User: "7", State: "offline", Changed: presentAt}
	snapshot := Presence{Kind: "snapshot", Channel: "acme/main", Count: 2, Users: []Presence{seven, name}}
	for _, test := range []struct {
		p    Presence
		want []string
	}{
		{seven, []string{`{"event":"presence","flow":"acme/main","content":{"user_id":7,"state":2000000,"updated_at":1772366400005},"user_id":7}`}},
		{left, []string{`{"event":"presence","flow":"acme/main","content":{"user_id":7,"state":0,"updated_at":1772366400005},"user_id":7}`}},
		{Presence{Kind: "count", Channel: "acme/main", Count: 10_000}, []string{`{"event":"presence","flow":"acme/main","content":{"count":10000}}`}},
		{snapshot, []string{
			`{"event":"presence","flow":"acme/main","content":{"user_id":7,"state":2000000,"updated_at":1772366400005},"user_id":7}`,
			`{"event":"presence","flow":"acme/main","content":{"user_id":"j\r\n\u00e9","state":2000000,"updated_at":1772366400005},"user_id":"j\r\n\u00e9"}`,
		}},
	} {
		got := FlowdockJSON{}.Presence(&test.p)
		if len(got) != len(test.want) {
			t.Fatalf("%d messages", len(got))
		}
		for i, message := range got {
			if string(message) != test.want[i]+"\r\n" {
				t.Errorf("%s\nwant %s", message, test.want[i])
			}
		}
	}
	now := presentAt.Add(time.Minute)
	activity := `{"event":"activity.user","tags":[],"uuid":null,"persist":false,"flow":"acme/main","content":{"last_activity":1772366460005},"sent":1772366460005,"app":null,"attachments":[],"user":"7"}`
	if got := string(FlowdockJSON{}.Activity(&seven, now)); got != activity+"\r\n" {
		t.Error(got)
	}
	seven.State = "idle"
	if got := string(SSE{}.Activity(&seven, now)); got != "data: "+strings.Replace(activity, "1772366460005", "1772366400005", 1)+"\n\n" {
		t.Error(got)
	}
}

func TestPresenceAsAnEventOfItsOwnName(t *testing.T) {
	seven := joined("7")
	if got := string(SSE{}.Presence(&seven)[0]); got != "event: presence\n"+
		`data: {"kind":"joined","channel":"acme/main","user":"7","state":"active","since":"2026-03-01T12:00:00.005Z","count":1}`+"\n\n" {
		t.Error(got)
	}
	if got := string(SSE{}.Presence(&Presence{Kind: "snapshot", Channel: "1", Count: 1, Users: []Presence{seven}})[0]); got != "event: presence\n"+
		`data: {"kind":"snapshot","channel":"1","count":1,"users":[{"user":"7","state":"active","since":"2026-03-01T12:00:00.005Z"}]}`+"\n\n" {
		t.Error(got)
	}
	if got := string(SSE{}.Presence(&Presence{Kind: "snapshot", Channel: "1"})[0]); !strings.Contains(got, `"count":0,"users":[]}`) {
		t.Error(got)
	}
}

// Whatever users and channels are called, a message stays one message.
func FuzzPresence(f *testing.F) {
	f.Add("7", "1")
	f.Add("a\r\n\ndata: x\x00\u2028\xff", "\"\\\n\n")
	f.Fuzz(func(t *testing.T, user, channel string) {
		p := joined(user)
		p.Channel = channel
		all := Presence{Kind: "snapshot", Channel: channel, Count: 1, Users: []Presence{p}}
		for _, message := range [][]byte{
			SSE{}.Presence(&p)[0], SSE{}.Presence(&all)[0], SSE{}.Activity(&p, presentAt),
			FlowdockJSON{}.Presence(&p)[0], FlowdockJSON{}.Presence(&all)[0], FlowdockJSON{}.Activity(&p, presentAt),
		} {
			text := bytes.TrimPrefix(message, []byte("event: presence\n"))
			text = bytes.TrimPrefix(text, []byte("data: "))
			text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n\n")), []byte("\r\n"))
			if bytes.ContainsAny(text, "\r\n") || !utf8.Valid(text) || !json.Valid(text) {
				t.Fatalf("%q", message)
			}
		}
	})
}
