package format_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// A format writes one event as each kind of client reads it.
func Example() {
	message := event.Entry{Seq: 42, Event: event.Event{
		Channel: event.String("5"), ID: event.Number("100"), User: event.String("7"), UserName: "Ann",
		Time: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Body: "hello",
	}}
	cursor := event.Cursor{Epoch: event.Epoch{0xab}, Seq: 42}
	for _, name := range format.Names() {
		f, _ := format.ByName(name)
		fmt.Println(name + ":")
		fmt.Println(strings.TrimSpace(string(f.Event(nil, &message, cursor))))
	}
	// Output:
	// campfire-json:
	// {"room_id":5,"created_at":"2026/03/04 05:06:07 +0000","body":"hello","id":100,"user_id":7,"type":"TextMessage","starred":false}
	// campfire-xml:
	// <message><id type="integer">100</id><room-id type="integer">5</room-id><user-id type="integer">7</user-id><body>hello</body><created-at type="datetime">2026-03-04T05:06:07Z</created-at><type>TextMessage</type><starred>false</starred></message>
	// flowdock-json:
	// {"event":"message","tags":[],"uuid":null,"id":100,"flow":"5","content":"hello","sent":1772600767000,"created_at":"2026-03-04T05:06:07.000Z","app":"chat","attachments":[],"external_user_name":"Ann","user":"7","thread":{"initial_message":100}}
	// sse:
	// id: ab00000000000000.42.000000
	// data: {"event":"message","tags":[],"uuid":null,"id":100,"flow":"5","content":"hello","sent":1772600767000,"created_at":"2026-03-04T05:06:07.000Z","app":"chat","attachments":[],"external_user_name":"Ann","user":"7","thread":{"initial_message":100}}
}
