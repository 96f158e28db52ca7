package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// The browser's side of the protocol as the public client has it, in Node and in
// Chromium, over WebSockets and over scripts.
func TestTamburClients(t *testing.T) {
	backend := newBackend(t)
	s := start(t, tamburDirectives(backend, "open mystream"))
	tool(t, "chromium", "chromium")
	checkNode(t)
	for _, where := range []string{"node", "chromium"} {
		for _, how := range []string{"websocket", "comet"} {
			t.Run(where+" "+how, func(t *testing.T) {
				t.Parallel()
				s := s.forTest(t)
				page := newTamburPage(t, s, where, how)
				other := tambur(t, s.url+tamburPath)
				bob := "bob of " + where + " " + how
				other.ok("subscribe", "mystream")
				s.tamburSays("mystream", "for "+page.user)
				page.sees(`{"onmessage":"for ` + page.user + `","stream":"mystream"}`)
				s.tamburSays("auth:mystream", `{"auth":1}`)
				page.sees(`{"onauth":"{\"auth\":1}","stream":"mystream"}`)
				s.tamburSays("private:"+page.id, "ä </script>")
				page.sees(`{"onmessage":"ä </script>","stream":"private"}`)
				other.ok("set_mode", "presence", "mystream", bob, tamburToken("presence", "mystream:"+bob, other.id))
				page.sees(fmt.Sprintf(`{"onpresence":["%s","up"],"stream":"mystream"}`, bob))
				other.ok("set_mode", "direct", "mystream", bob, tamburToken("direct", "mystream:"+bob, other.id))
				other.ok("direct", "mystream", page.user, "hello")
				page.sees(fmt.Sprintf(`{"ondirect":["%s","hello"],"stream":"mystream"}`, bob))
				page.does(`["direct","mystream","`+bob+`","hello yourself"]`, "ok")
				for got := ""; !strings.Contains(got, "hello yourself"); got = other.frame() {
				}
				page.does(`["unset_mode","auth","mystream"]`, "ok")
				page.does(`["unsubscribe","mystream"]`, "ok")
				page.does(`["set_mode","auth","mystream","x"]`, "not_subscribed")
				if text, _, _ := page.out.state(); strings.Contains(text, `"error"`) {
					t.Errorf("the page complains: %s", text)
				}
			})
		}
	}
}

// tamburPageRun is a page with the client, everything turned on.
type tamburPageRun struct {
	*process
	in       io.Writer
	user, id string
	answers  int
}

func newTamburPage(t *testing.T, s *server, where, how string) *tamburPageRun {
	t.Helper()
	p := &tamburPageRun{user: where + " " + how}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in = w
	p.process = runWithInput(t, r, []string{"TMPDIR=" + t.TempDir()}, clientsFolder, "node", "tambur_run.js",
		where, how, s.url+tamburPath, p.user, tamburKey, tamburApp, tamburSecret)
	r.Close()
	t.Cleanup(func() { w.Close() })
	p.sees(`{"ready":"ok ok ok ok ok"}`)
	text, _, _ := p.out.state()
	for _, line := range lines(text) {
		var told struct{ ID string }
		if json.Unmarshal([]byte(line), &told); told.ID != "" {
			p.id = told.ID
		}
	}
	return p
}

// sees waits for a line.
func (p *tamburPageRun) sees(line string) {
	p.t.Helper()
	text, ok := p.out.waitFor(func(text string) bool { return strings.Contains(text, line+"\n") })
	if !ok {
		p.t.Fatalf("no %s in\n%s", line, text)
	}
}

// does has the page do a command.
func (p *tamburPageRun) does(command, answer string) {
	p.t.Helper()
	fmt.Fprintln(p.in, command)
	p.answers++
	text, ok := p.out.waitFor(func(text string) bool { return strings.Count(text, `{"answer":`) >= p.answers })
	all := lines(text)
	if want := `{"answer":"` + answer + `"}`; !ok || !strings.Contains(strings.Join(all, "\n"), want) {
		p.t.Fatalf("%s: no %s in\n%s", command, want, text)
	}
}

// The publishers sign as their libraries do, each in its own way.
func TestTamburPublishers(t *testing.T) {
	t.Parallel()
	backend := newBackend(t)
	s := start(t, tamburDirectives(backend, "open *"))
	s.t = t
	c := tambur(t, s.url+tamburPath)
	c.ok("subscribe", "my stream")
	c.ok("set_mode", "auth", "my stream", tamburToken("auth", "my stream", c.id))
	checkNode(t)
	for name, program := range map[string][]string{
		"Python": {tool(t, "/usr/bin/python3", "python3-requests-oauthlib"), "tambur_publish.py"},
		"Ruby":   {tool(t, "ruby", "ruby"), "tambur_publish.rb"},
		"Node":   {tool(t, "node", "nodejs"), "tambur_publish.js"},
	} {
		for _, message := range []string{"some message", "a+b & c=d 100% (it's!) *", "ä€😀"} {
			args := append(program[1:len(program):len(program)], s.url+"/app/"+tamburApp+"/stream/my%20stream", tamburKey, tamburSecret, message)
			p := run(t, nil, clientsFolder, program[0], args...)
			if text, _ := p.out.waitFor(func(text string) bool { return strings.Contains(text, "\n") }); !strings.Contains(text, "204") {
				t.Fatalf("%s, %q: %s", name, message, text)
			}
			c.gets("my stream", "", message)
		}
	}
	for _, stream := range []string{"auth:my%20stream", "auth%3Amy%20stream"} {
		p := run(t, nil, clientsFolder, "node", "tambur_publish.js", s.url+"/app/"+tamburApp+"/stream/"+stream, tamburKey, tamburSecret, stream)
		if text, _ := p.out.waitFor(func(text string) bool { return strings.Contains(text, "\n") }); !strings.Contains(text, `{"status":204,"origin":"*"}`) {
			t.Fatalf("%s: %s", stream, text)
		}
		c.gets("my stream", "auth", stream)
	}
}
