package decode

import (
	"strings"
	"testing"
)

// A post that is only a file says so, and what is known of the file goes along.
func TestFilesOfApps(t *testing.T) {
	for _, c := range []struct {
		name, preset, body, text, payload string
	}{
		{"mattermost", "mattermost", `{"channel_id":"c","post_id":"p","text":"","file_ids":"f1,f2"}`, "/api/v4/files/f1\n/api/v4/files/f2", `[{"path":"/api/v4/files/f1"},{"path":"/api/v4/files/f2"}]`},
		{"mattermost, with text", "mattermost", `{"channel_id":"c","post_id":"p","text":"look","file_ids":"f1"}`, "look\n/api/v4/files/f1", `[{"path":"/api/v4/files/f1"}]`},
		{"mattermost, none", "mattermost", `{"channel_id":"c","post_id":"p","text":"look","file_ids":""}`, "look", ""},
		{"matrix, a picture", "matrix", `{"events":[{"type":"m.room.message","event_id":"$1","room_id":"!r:x","sender":"@a:x","content":{"msgtype":"m.image","body":"cat.png","url":"mxc://x/abc","info":{"mimetype":"image/png","size":5}}}]}`,
			"cat.png mxc://x/abc", `[{"file_name":"cat.png","path":"mxc://x/abc","content_type":"image/png","file_size":5}]`},
		{"matrix, with a caption", "matrix", `{"events":[{"type":"m.room.message","event_id":"$1","room_id":"!r:x","sender":"@a:x","content":{"msgtype":"m.file","body":"look","filename":"a.txt","file":{"url":"mxc://x/abc"}}}]}`,
			"look\na.txt mxc://x/abc", `[{"file_name":"a.txt","path":"mxc://x/abc"}]`},
		{"slack", "slack_events", `{"type":"event_callback","event_id":"E","event":{"type":"message","subtype":"file_share","text":"","user":"U","ts":"1528154625.000382","channel":"C","files":[{"id":"F1","name":"a.png","mimetype":"image/png","size":7,"permalink":"https://x.slack.com/files/a.png"}]}}`,
			"a.png https://x.slack.com/files/a.png", `[{"file_name":"a.png","path":"https://x.slack.com/files/a.png","content_type":"image/png","file_size":7}]`},
		{"slack, without subtype or address", "slack_events", `{"type":"event_callback","event_id":"E","event":{"type":"message","text":"","user":"U","ts":"1528154625.000382","channel":"C","files":[{"id":"F1","name":"a.png","mimetype":"image/png"}]}}`,
			"a.png", `[{"file_name":"a.png","content_type":"image/png"}]`},
	} {
		out := decoded(t, Config{Preset: c.preset}, c.body)
		if len(out.Events) != 1 {
			t.Errorf("%s: %+v", c.name, out)
			continue
		}
		e := &out.Events[0]
		if got := e.TextWithFiles(); got != c.text || string(e.Payload) != c.payload {
			t.Errorf("%s: text %q, files %s", c.name, got, e.Payload)
		}
	}
	own := own("map files {json.links}")
	for links, want := range map[string]string{
		`"https://x/a/b.png?size=5"`: "b.png https://x/a/b.png?size=5", `["https://x/a.png",{"title":"b","href":"/b"}]`: "a.png https://x/a.png\nb /b", `[{},5.5,null,true,{"name":"n","size":"x"}]`: "5.5\ntrue\nn", `{"name":"a\r\nb"}`: "a b",
	} {
		out := decoded(t, own, `{"room":1,"id":1,"links":`+links+`}`)
		if len(out.Events) != 1 || out.Events[0].TextWithFiles() != want {
			t.Errorf("%s: %+v", links, out)
		}
	}
	many := decoded(t, own, `{"room":1,"id":1,"links":["a"`+strings.Repeat(`,"a"`, 100)+`]}`)
	if n := len(many.Events[0].Files()); n != maxFiles {
		t.Errorf("%d files", n)
	}
}
