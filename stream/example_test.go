package stream_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/memory"
)

// open makes a hub with its history in memory.
func open() *stream.Hub {
	hub, err := stream.Open("chat", memory.New(log.Retention{}, time.Now), stream.Config{Drain: time.Millisecond})
	if err != nil {
		panic(err)
	}
	return hub
}

// say publishes a message as a way in does.
func say(hub *stream.Hub, room, id, text string) event.Receipt {
	receipts, err := hub.Publish(context.Background(), event.Batch{Events: []event.Event{{
		Channel: event.String(room), ID: event.String(id), User: event.Number("7"), Body: text,
		Time: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
	}}})
	if err != nil {
		panic(err)
	}
	return receipts[0]
}

// A stream belongs to a connection. It gets what lies between the place that its
// client asked for and now, and then what is new.
func Example() {
	hub := open()
	defer hub.Close(context.Background())
	first := say(hub, "1", "100", "the client has this one")
	say(hub, "1", "101", "this one it missed")

	ticket, err := hub.Admit(stream.Candidate{Channels: 1})
	if err != nil {
		panic(err)
	}
	// Here the backend is asked whether the client may listen.
	if err := ticket.Grant("1"); err != nil {
		panic(err)
	}
	start, err := hub.Resolve([]string{"1"}, stream.From{Cursor: first.Position.String()})
	if err != nil {
		panic(err)
	}
	fmt.Println("Stream-Resume:", start.Resume())

	client, server := connection()
	defer client.Close()
	_, err = hub.Attach(stream.Opening{
		Conn: conn.TakeOver(server, conn.Plain, hub.ConnOptions()), Ticket: ticket,
		Spec:     &stream.Spec{Format: format.CampfireJSON{}, Heartbeat: time.Hour},
		Channels: []string{"1"}, Start: start,
	})
	if err != nil {
		panic(err)
	}
	say(hub, "1", "102", "and this one is new")
	for range 2 {
		fmt.Println(next(client))
	}
	// Output:
	// Stream-Resume: complete
	// {"room_id":1,"created_at":"2026/03/04 05:06:07 +0000","body":"this one it missed","id":101,"user_id":7,"type":"TextMessage","starred":false}
	// {"room_id":1,"created_at":"2026/03/04 05:06:07 +0000","body":"and this one is new","id":102,"user_id":7,"type":"TextMessage","starred":false}
}

// A client that speaks joins and leaves channels while it is connected. What it is
// told beside the events has its place among them.
func ExampleStream_Join() {
	hub := open()
	defer hub.Close(context.Background())
	client, server := connection()
	defer client.Close()
	s, err := hub.Attach(stream.Opening{
		Conn: conn.TakeOver(server, conn.Plain, hub.ConnOptions()), Standing: true,
		Spec: &stream.Spec{Format: format.FlowdockJSON{}, Heartbeat: time.Hour},
	})
	if err != nil {
		panic(err)
	}
	start, err := hub.Resolve([]string{"acme/main"}, stream.From{})
	if err != nil {
		panic(err)
	}
	s.Send([]byte("\"you listen to acme/main\"\r\n"))
	s.Join("acme/main", start)
	say(hub, "acme/main", "1", "hello")
	fmt.Println(next(client))
	fmt.Println(next(client)[:57])
	// Output:
	// "you listen to acme/main"
	// {"event":"message","tags":[],"uuid":null,"id":"1","flow":
}

// A client that polls has a Reader. What it took and did not acknowledge, it is
// given again.
func ExampleReader() {
	hub := open()
	defer hub.Close(context.Background())
	r := hub.NewReader(nil)
	defer r.Close()
	start, err := hub.Resolve([]string{"1"}, stream.From{})
	if err != nil {
		panic(err)
	}
	r.Join("1", start)
	say(hub, "1", "100", "hello")
	for range 2 {
		taken, err := r.Take(context.Background(), 10)
		if err != nil {
			panic(err)
		}
		fmt.Println(taken.Entries[0].Body)
	}
	taken, err := r.Take(context.Background(), 10)
	if err != nil {
		panic(err)
	}
	r.Done(taken)
	say(hub, "1", "101", "goodbye")
	if taken, err = r.Take(context.Background(), 10); err != nil {
		panic(err)
	}
	fmt.Println(taken.Entries[0].Body)
	// Output:
	// hello
	// hello
	// goodbye
}

// connection is a socket, as a server hands it over.
func connection() (client, server net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		panic(err)
	}
	if server, err = l.Accept(); err != nil {
		panic(err)
	}
	return client, server
}

// next reads to the end of a message; heartbeats are passed over.
func next(client net.Conn) string {
	var message []byte
	b := make([]byte, 1)
	for {
		if _, err := client.Read(b); err != nil {
			return err.Error()
		}
		switch {
		case b[0] == '\r':
			return string(message)
		case len(message) > 0 || b[0] > ' ':
			message = append(message, b[0])
		}
	}
}
