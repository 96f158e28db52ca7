package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Clients that nobody here wrote, called as their manuals call them.

const clientsFolder = "testdata/clients"

// tool finds a program that the tests need.
func tool(t *testing.T, name, packages string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing; .ci/install installs it (Debian: %s)", name, packages)
	}
	return path
}

func ruby(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	return run(t, env, clientsFolder, tool(t, "ruby", "ruby ruby-twitter-stream ruby-yajl ruby-em-http-request ruby-faye"), args...)
}

func node(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	checkNode(t)
	return run(t, env, clientsFolder, "node", args...)
}

// checkNode fails the test if Node or the packages are missing.
func checkNode(t *testing.T) {
	t.Helper()
	tool(t, "node", "nodejs npm")
	if out, err := exec.Command("npm", "--prefix", clientsFolder, "ls", "--depth", "0").CombinedOutput(); err != nil {
		t.Fatalf("the npm packages of the tests are missing; .ci/install installs them: %v\n%s", err, out)
	}
}

// lines are the JSON objects that a client printed, one for each message.
func lines(text string) []string {
	var whole []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "{") && strings.HasSuffix(line, "\n") {
			whole = append(whole, strings.TrimSuffix(line, "\n"))
		}
	}
	return whole
}

// reception checks what a client receives from a channel: every message from
// the first that it gets on, once and in order.
type reception struct {
	*process
	server  *server
	channel string
	next    int // id of the next message
	// body finds the text of a message in a line that the client printed.
	body func(map[string]any) string
	// first is the number of the first message that must have come, 0 while
	// nothing did.
	first int
}

// text is the body of a message: not only ASCII, and with what formats escape.
func (c *reception) text(n int) string { return fmt.Sprintf("message %d \u2603 é \"\\ \U0001f600", n) }

// begin publishes until the client gets something: then its stream is open.
func (c *reception) begin() {
	c.t.Helper()
	eventually(c.t, c.name+" gets a message", func() bool {
		c.next++
		c.server.publish(c.channel, c.next, c.text(c.next))
		select {
		case <-c.exited:
			c.t.Fatalf("%s ended: %v", c.name, c.err)
		default:
		}
		text, _, _ := c.out.state()
		return len(lines(text)) > 0
	})
}

// more publishes some messages, and checks all that came since the beginning.
func (c *reception) more(n int) {
	c.t.Helper()
	for range n {
		c.next++
		c.server.publish(c.channel, c.next, c.text(c.next))
	}
	c.check()
}

// check waits for the last message that was published.
func (c *reception) check() {
	c.t.Helper()
	last := fmt.Sprintf("message %d ", c.next)
	text, ok := c.out.waitFor(func(text string) bool {
		all := lines(text)
		return len(all) > 0 && strings.Contains(all[len(all)-1], last)
	})
	var got []string
	for _, line := range lines(text) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			c.t.Fatalf("%s printed %q: %v", c.name, line, err)
		}
		got = append(got, c.body(m))
	}
	var want []string
	if c.first == 0 && len(got) > 0 {
		if _, err := fmt.Sscanf(got[0], "message %d ", &c.first); err != nil {
			c.t.Fatalf("%s got %q first", c.name, got[0])
		}
	}
	for n := max(c.first, 1); n <= c.next; n++ {
		want = append(want, c.text(n))
	}
	if !ok || !slices.Equal(got, want) {
		c.t.Fatalf("%s got\n%q\nwant\n%q", c.name, got, want)
	}
}

func campfireBody(m map[string]any) string { body, _ := m["body"].(string); return body }
func flowdockBody(m map[string]any) string { body, _ := m["content"].(string); return body }
func eventBody(m map[string]any) string {
	data, _ := m["data"].(map[string]any)
	return flowdockBody(data)
}

func TestClientsOfCampfire(t *testing.T) {
	b := newBackend(t)
	s := start(t, b.directives("history {\n store memory\n}\nheartbeat campfire 1s"))
	for name, env := range map[string][]string{
		"twitter_stream.rb": nil, "yajl.rb": nil,
		// tinder's limit: a heartbeat must come within six seconds, and
		// EventMachine's clock needs it twice as often.
		"twitter_stream.rb with tinder's limit": {"INACTIVITY=6"},
	} {
		t.Run(name, func(t *testing.T) {
			script, _, _ := strings.Cut(name, " ")
			channel := fmt.Sprint(len(name)) // of its own
			c := &reception{
				process: ruby(t, env, script, "127.0.0.1", s.port, goodToken, channel),
				server:  s.forTest(t), channel: channel, body: campfireBody,
			}
			c.begin()
			c.more(20)
		})
	}
}

func TestClientsOfFlowdock(t *testing.T) {
	b := newBackend(t)
	s := start(t, b.directives("history {\n store memory\n}\nheartbeat flowdock 1s"))
	t.Run("em-http-request", func(t *testing.T) {
		c := &reception{
			process: ruby(t, nil, "em_http_flowdock.rb", "127.0.0.1", s.port, goodToken, "acme", "ruby"),
			server:  s.forTest(t), channel: "acme/ruby", body: flowdockBody,
		}
		c.begin()
		c.more(20)
	})
	t.Run("npm flowdock", func(t *testing.T) {
		env := []string{"FLOWDOCK_STREAM_URL=" + s.url + "/flows", "FLOWDOCK_API_URL=" + s.url}
		c := &reception{
			process: node(t, env, "flowdock.js", goodToken, "acme/node", "acme/other"),
			server:  s.forTest(t), channel: "acme/node", body: flowdockBody,
		}
		c.begin()
		c.more(20)
	})
	for _, kind := range []string{"eventsource0", "eventsource", "eventsource3", "polyfill"} {
		t.Run("npm "+kind, func(t *testing.T) {
			channel := "acme/" + kind
			c := &reception{
				process: node(t, nil, "eventsource.js", kind, s.url+"/flows?filter="+channel, goodToken),
				server:  s.forTest(t), channel: channel, body: eventBody,
			}
			c.begin()
			c.more(20)
		})
	}
}

// EventSource comes back after a restart of the server, and gets what it missed,
// once and in order. 0.1.6 gives up at the first refused connection.
func TestEventSourceResumesAfterRestart(t *testing.T) {
	b := newBackend(t)
	s := start(t, b.directives(""))
	var clients []*reception
	for _, kind := range []string{"eventsource", "eventsource3", "polyfill"} {
		channel := "acme/" + kind
		c := &reception{
			process: node(t, nil, "eventsource.js", kind, s.url+"/flows?filter="+channel, goodToken),
			server:  s, channel: channel, body: eventBody,
		}
		c.begin()
		c.more(5)
		clients = append(clients, c)
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		s.restart(signal)
		for _, c := range clients {
			c.more(5) // some before the client is back, perhaps some behind
		}
	}
}

// Whoever is refused sees it in the form that clients know.
func TestClientsAreRefused(t *testing.T) {
	b := newBackend(t)
	b.decide("other-token", "", verdict{status: 403})
	s := start(t, b.directives("history {\n store memory\n}"))
	for _, test := range []struct {
		script []string
		says   string
	}{
		{[]string{"twitter_stream.rb", "127.0.0.1", s.port, "bad-token", "1"}, "ERROR:"},
		{[]string{"twitter_stream.rb", "127.0.0.1", s.port, "other-token", "1"}, "ERROR:"},
		{[]string{"yajl.rb", "127.0.0.1", s.port, "other-token", "1"}, "HttpError"},
		{[]string{"em_http_flowdock.rb", "127.0.0.1", s.port, "other-token", "acme", "main"}, "STATUS 403"},
	} {
		p := ruby(t, nil, test.script...)
		if text, ok := p.errOut.waitFor(func(text string) bool { return strings.Contains(text, test.says) }); !ok {
			t.Errorf("%v says %q, not %q", test.script, text, test.says)
		}
	}
}

// forTest is the server for a sub-test.
func (s *server) forTest(t *testing.T) *server {
	c := *s
	c.t = t
	return &c
}
