package endpoint

import (
	"net/http"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
	"github.com/seed-078801ba/sidestream/stream/presence"
)

// Campfire says where the Campfire streams are: GET /room/{channel}/live.json
// and live.xml, with messages that end in CR and a space as heartbeat.
type Campfire struct {
	Place
}

// Options implements Kind.
func (*Campfire) Options() []string { return nil }

// Option implements Kind.
func (*Campfire) Option(string, []string) error { return nil }

// Usual implements Kind.
func (*Campfire) Usual() bool { return true }

// Heartbeat implements Kind. Campfire's own clients gave up after 5 s, and the
// clock of EventMachine needs more than two beats in that time.
func (*Campfire) Heartbeat() time.Duration { return 2 * time.Second }

// New implements Kind.
func (c *Campfire) New(site Site) Endpoint { return &campfire{prefix: c.segments(), realm: site.Realm} }

// campfire serves GET /room/{channel}/live.json and live.xml, as the Campfire
// API had them (campfire-api sections/streaming.md).
type campfire struct {
	prefix []string
	realm  string
}

// Realm implements Streaming.
func (e *campfire) Realm() string { return e.realm }

// AnyOrigin implements Streaming.
func (*campfire) AnyOrigin() bool { return false }

// Claims implements Endpoint.
func (e *campfire) Claims(line Line, r *http.Request) Claim {
	if _, _, ok := e.match(line.segments); ok {
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
			return Ours
		}
		return Declined
	}
	for _, reading := range line.loose {
		if e.resembles(reading) {
			return Crooked
		}
	}
	return NotOurs
}

// match takes a path apart. Only streams end in live.json or live.xml, so the
// path alone decides.
func (e *campfire) match(segments []string) (channel string, f format.Format, ok bool) {
	rest, ok := under(segments, e.prefix)
	if !ok || len(rest) != 3 || rest[0] != "room" {
		return "", nil, false
	}
	switch rest[2] {
	case "live.json":
		return rest[1], format.CampfireJSON{}, true
	case "live.xml":
		return rest[1], format.CampfireXML{}, true
	}
	return "", nil, false
}

// resembles tells whether a careless reading of a path leads to a stream.
func (e *campfire) resembles(segments []string) bool {
	rest, ok := under(segments, e.prefix)
	if !ok || len(rest) < 2 || rest[0] != "room" {
		return false
	}
	last := rest[len(rest)-1]
	return strings.HasPrefix(last, "live.json") || strings.HasPrefix(last, "live.xml")
}

// Ask implements Streaming.
func (e *campfire) Ask(line Line, r *http.Request) (Ask, *Refusal) {
	channel, f, _ := e.match(line.segments)
	// Who listened to a room of Campfire was in it.
	a := Ask{Format: f, Channels: []string{channel}, State: presence.Active}
	if !event.ValidChannel(channel) {
		return a, badRequest("there is no such room")
	}
	query, err := readQuery(r.URL.RawQuery, fromParameters...)
	if err != nil {
		return a, badRequest("the query is not in canonical form")
	}
	var re *Refusal
	a.From, re = readFrom(r.Header, query)
	return a, re
}

// Explain answers in plain text that begins with "Access Denied": that is what
// the service said and what hubot looks for.
func (*campfire) Explain(re *Refusal) (contentType, body string) {
	return "text/plain; charset=utf-8", "Access Denied: " + re.Message + "\n"
}
