package format

import (
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Files are where a schema has a place for them, and lines of text where it has
// none.
func TestFiles(t *testing.T) {
	e := &event.Entry{Seq: 1, Event: event.Event{
		Channel: event.Number("1"), ID: event.Number("5"), Body: "look",
		Payload: event.AppendFiles(nil, []event.File{{Name: "a.png", Path: "/files/a", Type: "image/png", Size: "7"}}),
	}}
	for name, want := range map[string][]string{
		"campfire-json": {`"body":"look\na.png /files/a"`, `"type":"PasteMessage"`},
		"campfire-xml":  {"look&#xa;a.png /files/a"},
		"flowdock-json": {`"content":"look\na.png /files/a"`, `"attachments":[{"file_name":"a.png","path":"/files/a","content_type":"image/png","file_size":7}]`},
	} {
		f, ok := ByName(name)
		if !ok {
			t.Fatalf("no format %s", name)
		}
		got := string(f.Event(nil, e, event.Cursor{}))
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("%s has no %s: %s", name, part, got)
			}
		}
	}
}
