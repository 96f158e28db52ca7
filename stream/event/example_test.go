package event_test

import (
	"fmt"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// The same message is known again, whichever delivery brings it and however its
// identifiers are written.
func ExampleEvent_Key() {
	first := event.Event{Channel: event.Number("1"), ID: event.Number("5"), Body: "hello", Delivery: "msg_1/0"}
	again := event.Event{Channel: event.String("1"), ID: event.String("5"), Body: "hello", Delivery: "msg_2/0"}
	edit := event.Event{Channel: event.String("1"), ID: event.String("5"), Op: event.Edit, Body: "hello!"}
	fmt.Println(first.Key() == again.Key(), first.Key() == edit.Key(), first.Key() == event.CreateKey("1", "5"))
	// Output: true false true
}

// A cursor is read as strictly as it is written.
func ExampleParseCursor() {
	c, err := event.ParseCursor("4400a8414122659a.102.pgcf91")
	fmt.Println(c.Seq, c.Tag, err)
	_, err = event.ParseCursor("4400A8414122659A.0102.pgcf91")
	fmt.Println(err)
	// Output:
	// 102 pgcf91 <nil>
	// not a cursor of this server
}

// What a log makes of a message that was edited, and of one that was deleted.
func ExampleEvent_WithText() {
	said := event.Event{Channel: event.String("1"), ID: event.String("5"), User: event.String("ann"), Body: "helo"}
	edit := event.Event{Channel: event.String("1"), ID: event.String("5"), User: event.String("bob"), Op: event.Edit, Body: "hello"}
	now, gone := said.WithText(&edit), said.WithoutText()
	fmt.Println(now.Op, now.User.Text, now.Body)
	fmt.Println(gone.ID.Text, gone.Body == "", gone.Shape == event.Gone)
	// Output:
	// create ann hello
	// 5 true true
}

// Stores keep an event in its binary form.
func ExampleDecodeBinary() {
	e := event.Event{Channel: event.Number("1"), ID: event.String("a"), Body: "hello", Time: time.UnixMilli(1_700_000_000_000).UTC()}
	b := e.AppendBinary(nil)
	back, err := event.DecodeBinary(b)
	fmt.Println(len(b), back.Channel, back.Body, back.Time.Format(time.RFC3339), err)
	// Output: 28 {1 true} hello 2023-11-14T22:13:20Z <nil>
}
