package pull

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// answersOf are answers in the shape of each app's list, with two messages, and what
// must be in the question.
var answersOf = map[string]struct {
	channel, body string
	ids           []string
	asks          string
	header        string // that holds the token
}{
	"campfire": {"1", `[{"id":7,"created_at":"2026-11-29T12:00:00.000Z","body":{"plain_text":"a","html":"<p>a</p>"},"creator":{"id":3,"name":"Ann"},"room":{"id":1}},
		{"id":8,"created_at":"2026-11-29T12:00:01.000Z","body":{"plain_text":"b"},"creator":{"id":3}}]`, []string{"7", "8"}, "/rooms/1/secret/messages?after=5", ""},
	"campfire_classic": {"1", `{"messages":[{"id":7,"room_id":1,"user_id":3,"created_at":"2026/11/29 12:00:00 +0000","type":"TextMessage","body":"a"},
		{"id":8,"room_id":1,"user_id":3,"created_at":"2026/11/29 12:00:01 +0000","type":"EnterMessage","body":null}]}`, []string{"7", "8"}, "/room/1/recent.json?since_message_id=5&limit=100", "Authorization"},
	"discourse": {"4", `{"messages":[{"id":7,"message":"a","created_at":"2026-11-29T12:00:00Z","chat_channel_id":4,"user":{"id":3,"username":"ann"}},
		{"id":8,"message":"b","created_at":"2026-11-29T12:00:01Z","user":{"id":3,"username":"ann"}}],"meta":{}}`, []string{"7", "8"}, "/chat/api/channels/4/messages?target_message_id=5&direction=future&page_size=50", "Api-Key"},
	"flowdock": {"acme/main", `[{"id":7,"event":"message","flow":"acme:main","content":"a","user":"3","sent":1700000000000,"tags":[]},
		{"id":8,"event":"message","flow":"acme:main","content":"b","user":"3","sent":1700000000001,"tags":[]}]`, []string{"7", "8"}, "/flows/acme/main/messages?since_id=5&sort=asc&limit=100", "Authorization"},
	"matrix": {"!r:hs", `{"chunk":[{"event_id":"$2","type":"m.room.message","sender":"@a:hs","room_id":"!r:hs","origin_server_ts":1700000000001,"content":{"msgtype":"m.text","body":"b"}},
		{"event_id":"$1","type":"m.room.message","sender":"@a:hs","room_id":"!r:hs","origin_server_ts":1700000000000,"content":{"msgtype":"m.text","body":"a"}}],"start":"t2","end":"t1"}`,
		[]string{"$1", "$2"}, "/rooms/%21r:hs/messages?dir=b&limit=50", "Authorization"},
	"mattermost": {"town", `{"order":["p8","p7"],"posts":{"p8":{"id":"p8","create_at":1700000000001,"update_at":1700000000001,"edit_at":0,"delete_at":0,"user_id":"u","channel_id":"town","root_id":"","message":"b","type":""},
		"p7":{"id":"p7","create_at":1700000000000,"update_at":1700000000000,"edit_at":0,"delete_at":0,"user_id":"u","channel_id":"town","root_id":"","message":"a","type":""},
		"old":{"id":"old","original_id":"p7","create_at":1,"update_at":1,"delete_at":5,"edit_at":0,"user_id":"u","channel_id":"town","message":"x"}}}`,
		[]string{"p7", "p8"}, "/api/v4/channels/town/posts?since=", "Authorization"},
	"rocketchat": {"GENERAL", `{"result":{"updated":[{"_id":"b","rid":"GENERAL","msg":"b","ts":"2026-11-29T12:00:01.000Z","_updatedAt":"2026-11-29T12:00:01.000Z","u":{"_id":"u","username":"ann"}},
		{"_id":"a","rid":"GENERAL","msg":"a","ts":"2026-11-29T12:00:00.000Z","_updatedAt":"2026-11-29T12:00:00.000Z","u":{"_id":"u","username":"ann"}}],"deleted":[]},"success":true}`,
		[]string{"a", "b"}, "/api/v1/chat.syncMessages?roomId=GENERAL&lastUpdate=", "X-Auth-Token"},
	"slack": {"C1", `{"ok":true,"messages":[{"type":"message","ts":"1700000001.000200","user":"U1","text":"b"},{"type":"message","ts":"1700000000.000100","user":"U1","text":"a"},
		{"type":"message","subtype":"channel_join","ts":"1699999999.000100","user":"U1","text":"joined"}],"response_metadata":{"next_cursor":""}}`,
		[]string{"1700000000.000100", "1700000001.000200"}, "/api/conversations.history?channel=C1&oldest=5&limit=200", "Authorization"},
	"zulip": {"9", `{"result":"success","messages":[{"id":7,"type":"stream","stream_id":9,"sender_id":3,"sender_full_name":"Ann","timestamp":1700000000,"content":"a"},
		{"id":8,"type":"stream","stream_id":9,"sender_id":3,"sender_full_name":"Ann","timestamp":1700000001,"content":"b"}]}`,
		[]string{"7", "8"}, "/api/v1/messages?anchor=5&include_anchor=false", "Authorization"},
}

// Every preset asks as its app wants it, reads what it answers, oldest first, and keeps
// the credential out of what logs show.
func TestPresets(t *testing.T) {
	for _, name := range Presets() {
		t.Run(name, func(t *testing.T) {
			sample, ok := answersOf[name]
			if !ok {
				t.Fatal("no sample")
			}
			p, err := newPlan(Config{Preset: name, Token: "secret", User: "bot"})
			if err != nil {
				t.Fatal(err)
			}
			r, err := p.request(p.behind, values{channel: sample.channel, last: place{ID: "5", Time: 1700000000000}})
			if err != nil || !strings.Contains(r.URI, sample.asks) || strings.Contains(r.Shown, "secret") {
				t.Errorf("asks %q, shown as %q, %v", r.URI, r.Shown, err)
			}
			if sample.header != "" && r.Header.Get(sample.header) == "" {
				t.Errorf("no %s in %v", sample.header, r.Header)
			}
			if first, err := p.request(p.newest, values{channel: sample.channel}); err != nil || strings.Contains(first.URI, "=&") {
				t.Errorf("first asks %q, %v", first.URI, err)
			}
			l, err := p.read(sample.channel, &Answer{Status: http.StatusOK, Body: []byte(sample.body)})
			if err != nil || len(l.unmapped) > 0 {
				t.Fatalf("%v, %v", err, l)
			}
			var ids []string
			for _, it := range l.items {
				for _, e := range it.events {
					ids = append(ids, e.ID.Text)
					if e.Time.IsZero() || e.Channel.Text != sample.channel || e.Op != event.Create {
						t.Errorf("%+v", e)
					}
				}
			}
			if !slices.Equal(ids, sample.ids) {
				t.Errorf("it has %q, want %q", ids, sample.ids)
			}
		})
	}
}
