package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// bayeuxClients are clients that others wrote, over each transport that they have.
func bayeuxClients(t *testing.T, s *server) map[string]func(channels ...string) *process {
	url := s.url + "/faye"
	clients := map[string]func(channels ...string) *process{}
	for _, transport := range []string{"websocket", "long-polling"} {
		clients["npm faye, "+transport] = func(channels ...string) *process {
			return node(t, nil, append([]string{"faye.js", url, transport, goodToken}, channels...)...)
		}
		clients["npm cometd, "+transport] = func(channels ...string) *process {
			return node(t, nil, append([]string{"cometd.js", url, transport, goodToken}, channels...)...)
		}
		clients["ruby faye, "+transport] = func(channels ...string) *process {
			return ruby(t, nil, append([]string{"faye.rb", url, transport, goodToken}, channels...)...)
		}
	}
	return clients
}

func TestClientsOfBayeux(t *testing.T) {
	b := newBackend(t)
	directives := b.directives("bayeux {\n timeout 3s\n}\nhistory {\n store memory\n}")
	s := start(t, directives)
	var all []*reception
	for name, open := range bayeuxClients(t, s) {
		channel := fmt.Sprint("room-", len(all))
		p := open("/rooms/" + channel)
		p.name = name
		all = append(all, &reception{process: p, server: s, channel: channel, body: eventBody})
	}
	for _, c := range all {
		if text, ok := c.errOut.waitFor(func(text string) bool { return strings.Contains(text, "SUBSCRIBED") }); !ok {
			t.Fatalf("%s is not subscribed: %s", c.name, text)
		}
		c.first = 1
	}
	for _, c := range all {
		c.more(20)
	}
	s.reload(strings.Replace(directives, "3s", "4s", 1)) // Caddy ignores one without a change
	for _, c := range all {
		c.more(20)
	}
	for _, c := range all {
		if text, _, _ := c.errOut.state(); strings.Contains(text, "ADVICE") || strings.Contains(text, "REFUSED") {
			t.Errorf("%s: %s", c.name, text)
		}
	}
}
