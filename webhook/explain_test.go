package webhook

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// explained is an explanation in one line: what is told of each message.
func explained(e Explanation) string {
	parts := []string{fmt.Sprintf("%s %d", e.Scheme, e.Status)}
	for _, said := range []struct{ what, text string }{{"unverified", e.Unverified}, {"unreadable", e.Unreadable}} {
		if said.text != "" {
			parts = append(parts, said.what+" ("+said.text+")")
		}
	}
	if e.Challenge {
		parts = append(parts, "challenge")
	}
	for _, m := range e.Messages {
		var told []string
		for _, ev := range m.Events {
			told = append(told, fmt.Sprintf("%s/%s %q", ev.Channel.Text, ev.ID.Text, ev.Body))
		}
		for _, said := range []struct{ what, text string }{{"dropped", m.Dropped}, {"unmapped", m.Unmapped}} {
			if said.text != "" {
				told = append(told, said.what+" ("+said.text+")")
			}
		}
		for _, r := range m.Revoke {
			told = append(told, "revoke "+r.User+" "+r.Channel)
		}
		parts = append(parts, strings.Join(told, " + "))
	}
	return strings.Join(parts, "; ")
}

func TestExplain(t *testing.T) {
	own := Config{Verify: &Verify{Scheme: "none"}, Config: decode.Config{
		Each: "{json.events}",
		Map: []decode.MapRule{
			{Field: "channel", Value: "{item.room}"}, {Field: "id", Value: "{item.id}"},
			{Field: "body", Value: "{item.html|html_text}", When: "{item.html} exists"}, {Field: "body", Value: "{item.text}"},
		},
		Drop:   []string{"{item.kind} in typing presence", "{item.room} == lobby"},
		Revoke: []decode.RevokeRule{{User: "{item.gone}", Channel: "{item.room}"}},
	}}
	reject := own
	reject.OnUnmapped = "reject"
	mattermost := Config{Config: decode.Config{Preset: "mattermost"}, Secrets: []string{"the-token"}}
	slack := Config{Config: decode.Config{Preset: "slack_events"}, Secrets: []string{"the-secret-of-slack"}}
	for _, test := range []struct {
		name   string
		config Config
		header http.Header
		body   string
		want   string
	}{
		{"events", own, nil, `{"events":[{"room":1,"id":2,"text":"a"},{"room":1,"id":3,"html":"<b>b</b>"}]}`,
			`none 200; 1/2 "a"; 1/3 "b"`},
		{"dropped", own, nil, `{"events":[{"room":"lobby","id":2}]}`, `none 200; dropped ({item.room} == lobby)`},
		{"unmapped", own, nil, `{"events":[{"room":1,"text":"a"}]}`, `none 200; unmapped (the id is missing)`},
		{"unmapped, rejected", reject, nil, `{"events":[{"room":1,"text":"a"}]}`, `none 422; unmapped (the id is missing)`},
		{"revoked", own, nil, `{"events":[{"room":1,"id":4,"text":"bye","gone":7}]}`, `none 200; 1/4 "bye" + revoke 7 1`},
		{"no items", own, nil, `{"happenings":[]}`, `none 200; unmapped (no items where each looks for them)`},
		{"no JSON", own, nil, `{"events":`, `none 400; unreadable (the JSON ends early)`},
		{"signed", mattermost, nil, `{"token":"the-token","channel_id":"c","post_id":"p","text":"a"}`, `token 200; c/p "a"`},
		{"unsigned", mattermost, nil, `{"channel_id":"c","post_id":"p","text":"a"}`, `token 401; unverified (the token is missing); c/p "a"`},
		{"badly signed", mattermost, nil, `{"token":"guess","channel_id":"c","post_id":"p","text":"a"}`,
			`token 401; unverified (the token is wrong); c/p "a"`},
		{"a challenge", slack, nil, `{"type":"url_verification","challenge":"x"}`, `slack 401; unverified (the signature is missing); challenge`},
		{"another type", own, http.Header{"Content-Type": {"image/png"}}, "x",
			"none 415; unreadable (a Content-Type that this webhook does not read)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, err := New(test.config)
			if err != nil {
				t.Fatal(err)
			}
			e := h.Explain(decode.Input{Header: test.header, Body: []byte(test.body)})
			if got := explained(e); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if strings.Contains(fmt.Sprintf("%+v", e), "the-token") {
				t.Errorf("the secret shines through: %+v", e)
			}
		})
	}
}

// Every field tells which rule counts and what it found.
func TestExplainFields(t *testing.T) {
	h, err := New(Config{Verify: &Verify{Scheme: "none"}, Config: decode.Config{Map: []decode.MapRule{
		{Field: "channel", Value: "{json.rooms}"}, {Field: "id", Value: "{json.id}", When: "{json.id} exists"},
		{Field: "id", Value: "{json.key}"}, {Field: "user", Value: "{json.user}"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	e := h.Explain(decode.Input{Body: []byte(`{"rooms":["a","b"],"key":7,"user":{"name":"x"}}`)})
	want := "[{channel {json.rooms} [\"a\",\"b\"]} {id {json.key} 7} {user {json.user} an object of 1 fields}]"
	if len(e.Messages) != 1 || fmt.Sprint(e.Messages[0].Fields) != want || e.Messages[0].Unmapped != "the user is no id" {
		t.Errorf("%+v, want the fields %s", e.Messages, want)
	}
	e = h.Explain(decode.Input{Body: []byte(`{"rooms":["a","b"]}`)})
	if got := e.Messages[0].Fields[1]; got != (decode.Field{Name: "id", Rule: "{json.id} when {json.id} exists, {json.key}"}) {
		t.Errorf("a field that is not there: %+v", got)
	}
}

// What is explained is what would be stored.
func TestExplainIsServe(t *testing.T) {
	h, err := New(Config{Config: decode.Config{Preset: "campfire_classic"}, Verify: &Verify{Scheme: "none"}})
	if err != nil {
		t.Fatal(err)
	}
	in := decode.Input{Body: []byte(`{"id":1,"room_id":2,"user_id":3,"body":"hi","type":"TextMessage","created_at":"2011/09/12 22:46:06 +0000"}`)}
	decoded, err := h.Decode(in)
	if err != nil {
		t.Fatal(err)
	}
	var events []event.Event
	for _, m := range h.Explain(in).Messages {
		events = append(events, m.Events...)
	}
	if fmt.Sprint(events) != fmt.Sprint(decoded.Events) || len(events) != 1 {
		t.Errorf("explained %v, decoded %v", events, decoded.Events)
	}
}
