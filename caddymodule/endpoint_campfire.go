package caddymodule

import (
	"net/http"
	"strings"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// campfireEndpoint serves GET /room/{channel}/live.json and live.xml, as the
// Campfire API had them (campfire-api sections/streaming.md).
type campfireEndpoint struct {
	prefix []string
	title  string
}

func (*campfireEndpoint) name() string    { return "campfire" }
func (e *campfireEndpoint) realm() string { return e.title }

func (e *campfireEndpoint) claims(line requestLine, r *http.Request) claim {
	if _, _, ok := e.match(line.segments); ok {
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
			return ours
		}
		return declined
	}
	for _, reading := range line.loose {
		if e.resembles(reading) {
			return crooked
		}
	}
	return notOurs
}

// match takes a path apart. Only streams end in live.json or live.xml, so the
// path alone decides.
func (e *campfireEndpoint) match(segments []string) (channel, formatName string, ok bool) {
	rest, ok := under(segments, e.prefix)
	if !ok || len(rest) != 3 || rest[0] != "room" {
		return "", "", false
	}
	switch rest[2] {
	case "live.json":
		return rest[1], campfireJSON, true
	case "live.xml":
		return rest[1], campfireXML, true
	}
	return "", "", false
}

// resembles tells whether a careless reading of a path leads to a stream.
func (e *campfireEndpoint) resembles(segments []string) bool {
	rest, ok := under(segments, e.prefix)
	if !ok || len(rest) < 2 || rest[0] != "room" {
		return false
	}
	last := rest[len(rest)-1]
	return strings.HasPrefix(last, "live.json") || strings.HasPrefix(last, "live.xml")
}

func (e *campfireEndpoint) ask(line requestLine, r *http.Request) (ask, *refusal) {
	channel, formatName, _ := e.match(line.segments)
	a := ask{formatName: formatName, channels: []string{channel}}
	if !event.ValidChannel(channel) {
		return a, badRequest("there is no such room")
	}
	query, err := readQuery(r.URL.RawQuery, fromParameters...)
	if err != nil {
		return a, badRequest("the query is not in canonical form")
	}
	var re *refusal
	a.from, re = readFrom(r.Header, query)
	return a, re
}

// explain answers in plain text that begins with "Access Denied": that is what
// the service said and what hubot looks for.
func (*campfireEndpoint) explain(re *refusal) (contentType, body string) {
	return "text/plain; charset=utf-8", "Access Denied: " + re.message + "\n"
}
