package format

import (
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
)

func TestTamburMessages(t *testing.T) {
	said := func(channel, text string) event.Entry {
		return event.Entry{Event: event.Event{Channel: event.String(channel), Body: text}}
	}
	raw := said("s", "")
	raw.Shape, raw.Payload = event.Raw, []byte(`{"a":1}`)
	entered := said("s", "")
	entered.Type = "EnterMessage"
	edited := said("s", "new")
	edited.ID, edited.Op = event.String("1"), event.Edit
	for name, test := range map[string]struct {
		e        event.Entry
		channels string
		want     string
	}{
		"plain":               {said("s", "hello"), "{stream}", `["msg","s","","hello"]`},
		"empty":               {said("s", ""), "{stream}", `["msg","s","",""]`},
		"JSON stays text":     {said("s", `{"a":1}`), "{stream}", `["msg","s","","{\"a\":1}"]`},
		"not ASCII":           {said("ä", "☃\n"), "{stream}", `["msg","\u00e4","","\u2603\n"]`},
		"for those with auth": {said(event.ModeChannel("app", "auth", "a:b"), "x"), "{stream}", `["msg","a:b","auth","x"]`},
		"for one":             {said(event.ModeChannel("app", "private", "id"), "x"), "{stream}", `["msg","private","","x"]`},
		"of an app":           {said("app/a/b", "x"), "{app}/{stream}", `["msg","a/b","","x"]`},
		"of a named app":      {said("chat-app:s.1", "x"), "chat-{app}:{stream}.1", `["msg","s","","x"]`},
		"chosen":              {raw, "{stream}", `["msg","s","","{\"a\":1}"]`},
		"without a text":      {entered, "{stream}", ``},
		"an edit":             {edited, "{stream}", ``},
	} {
		f := Tambur{Channels: test.channels}
		if got := string(f.Event(nil, &test.e, event.Cursor{})); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	if got := TamburChannel("chat-{app}:{stream}.1", "app", "{app}"); got != "chat-app:{app}.1" {
		t.Errorf("the channel is %s", got)
	}
}

func TestWordsOfTambur(t *testing.T) {
	if got := string(AppendTamburAck(nil, "7", `no "way"`)); got != `["ack",7,"no \"way\""]` {
		t.Error(got)
	}
	if got := string(AppendTamburPair(nil, "s", "direct", "ann", "hi")); got != `["msg","s","direct",["ann","hi"]]` {
		t.Error(got)
	}
}
