package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// notRun are the commands of the pages that no test runs, with the reason.
var notRun = map[string]string{
	"make test":  "it runs this test",
	"make bench": "it takes half an hour",
	"xcaddy build --with github.com/seed-078801ba/sidestream/caddymodule": "it fetches a released version from the network",
	"go run ./cmd/bench -quick":               "it loads the machine for a minute",
	"go run ./cmd/bench -only idle-h1,fanout": "it loads the machine for a minute",
	"go run ./cmd/bench -only fanout,fullspeed,channels -beside 'nchan=http://127.0.0.1:8081/sub/{channel},http://127.0.0.1:8081/pub/{channel}'": "it measures a server of the reader's",
}

// sampleMessage is what once-campfire posts: the root README's app.
const sampleMessage = `{"user":{"id":1,"name":"Alice"},"room":{"id":1,"name":"Lobby","path":"/rooms/1/key/messages"},` +
	`"message":{"id":%d,"body":{"html":"hello docs","plain":"hello docs"},"path":"/rooms/1/@1"}}`

// docsSite is the Caddyfile of the root README in front of the demo's chat app,
// and a folder with the files that the pages' commands name.
type docsSite struct {
	*server
	posted int
}

func newDocsSite(t *testing.T) *docsSite {
	t.Helper()
	app := freePort(t)
	run(t, nil, "", command(t), "backend", "--listen", "127.0.0.1:"+app, "--hook", "").awaitListening(app)
	s := &docsSite{server: &server{t: t, folder: t.TempDir(), port: freePort(t)}}
	s.url = "http://127.0.0.1:" + s.port
	var text string
	for _, b := range pageNamed(t, "README.md").blocks {
		if b.info == "caddyfile" {
			text = b.text
		}
	}
	text = strings.NewReplacer("chat.example.com", s.url, "localhost:3000", "127.0.0.1:"+app).Replace(text)
	s.put("Caddyfile", strings.Replace(text, "\t\tauth ", `		tap POST /rooms/{room}/messages.json 201 {
			map channel {path.room}
			map id {res.id}
			map body {res.text}
		}
		auth `, 1))
	s.put("answer.json", `{"id":1,"text":"hello docs"}`)
	s.put("sample.json", fmt.Sprintf(sampleMessage, 1))
	example, err := os.ReadFile(exampleFile(t))
	if err != nil {
		t.Fatal(err)
	}
	s.put("Caddyfile.example", string(example))
	if err := os.Symlink(command(t), s.folder+"/sidestream"); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *docsSite) put(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.folder, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// env is what the commands run with. Nothing of it leaves the folder, Caddy's
// API neither, but for what Go has built before.
func (s *docsSite) env() []string {
	s.t.Helper()
	caches, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	cache := strings.Fields(string(caches))
	return append(append(s.server.env(), docsEnv(s.t)...), "PATH="+s.folder+":"+os.Getenv("PATH"), "CADDY_ADMIN=unix/"+s.folder+"/admin.sock",
		"SIDESTREAM_RUN="+s.folder, "GOCACHE="+cache[0], "GOMODCACHE="+cache[1])
}

// sh starts a command of a page as people type it, in the folder. Only what is
// on another machine there is on this one here.
func (s *docsSite) sh(line string) *process {
	s.t.Helper()
	line = strings.NewReplacer(
		"https://chat.example.com", s.url, "go run ./cmd/sidestream", "sidestream", "TOKEN", "alice-token",
		"/var/lib/sidestream/chat.db", "default.db", "go build ", "cd "+repository(s.t)+" && go build -o "+s.folder+"/built ",
		"go run ./cmd/bench", "cd "+repository(s.t)+" && go run ./cmd/bench",
	).Replace(line)
	return run(s.t, s.env(), s.folder, "sh", "-c", line)
}

// repository is the absolute path of the repository.
func repository(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// post sends a message as the app does, to the address that the page names.
func (s *docsSite) post() {
	s.t.Helper()
	s.posted++
	body := fmt.Sprintf(sampleMessage, s.posted)
	resp, err := http.Post(s.url+"/hooks/chat/"+docsSecret, "application/json", bytes.NewBufferString(body))
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		s.t.Fatalf("the webhook answers %d", resp.StatusCode)
	}
}

// Ways to run a command, by its first words. The first that fits is taken.
var commandKinds = []struct {
	is  *regexp.Regexp
	run func(t *testing.T, s *docsSite, line string)
}{
	{regexp.MustCompile(`^(\./|go run \./cmd/)?sidestream (run|demo|backend)\b`), serves},
	{regexp.MustCompile(`^curl -N |sidestream tail `), streams},
	{regexp.MustCompile(`^curl .*/meta/handshake`), shakesHands},
	{regexp.MustCompile(`sidestream explain .*--last`), explainsLast},
	{regexp.MustCompile(`sidestream explain .*--coverage`), saysOf("webhook /hooks/chat/REDACTED: brought 100.0 %")},
	{regexp.MustCompile(`sidestream explain .*--tap`), saysOf("becomes an event in channel 1: id 1, create")},
	{regexp.MustCompile(`sidestream explain `), explains},
	{regexp.MustCompile(`sidestream events`), watches},
	{regexp.MustCompile(`sidestream log `), looks},
	{regexp.MustCompile(`^(export |go build |go run \./cmd/bench -list|(\./)?sidestream (version|validate|reload|send|hubs|streams|kick|channels))`), ends},
}

// Every command of every page does what it is there for, or stands in notRun.
func TestDocsCommands(t *testing.T) {
	tool(t, "curl", "curl")
	tool(t, "openssl", "openssl")
	s := newDocsSite(t)
	s.process = s.sh("exec ./sidestream run --config Caddyfile")
	s.awaitListening(s.port)
	s.post()

	seen := map[string]bool{}
	var last []string // for when the server has ended
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.info != "sh" {
				continue
			}
			for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", " ")) {
				line = strings.TrimSpace(line)
				if line == "" || seen[line] {
					continue
				}
				seen[line] = true
				if notRun[line] != "" {
					continue
				}
				if strings.Contains(line, "sidestream log ") || strings.Contains(line, "run --config Caddyfile") {
					last = append(last, line)
					continue
				}
				runDocsCommand(t, s, line)
			}
		}
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("the end of the site: %v", err)
	}
	history, err := os.ReadFile(filepath.Join(s.folder, "data/caddy/sidestream/default.db"))
	if err != nil {
		t.Fatal(err)
	}
	s.put("default.db", string(history))
	for _, line := range last {
		runDocsCommand(t, s, line)
	}
	for line := range notRun {
		if !seen[line] {
			t.Errorf("no page has the command %q any more", line)
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d commands found", len(seen))
	}
}

func runDocsCommand(t *testing.T, s *docsSite, line string) {
	t.Run(line, func(t *testing.T) {
		here := *s
		here.t = t
		for _, kind := range commandKinds {
			if kind.is.MatchString(line) {
				kind.run(t, &here, line)
				s.posted = here.posted
				return
			}
		}
		t.Errorf("no test knows how to run it; add it to commandKinds, or to notRun with a reason")
	})
}

// serves: the command runs until it is interrupted, without a word of error.
func serves(t *testing.T, s *docsSite, line string) {
	port := freePort(t)
	switch {
	case strings.Contains(line, "--listen"):
		line = regexp.MustCompile(`localhost:\d+`).ReplaceAllString(line, "localhost:"+port)
	case strings.Contains(line, "Caddyfile.example"):
		line = "-u HOOK_SECRET SITE_ADDRESS=http://127.0.0.1:" + port + " " + line
	case strings.Contains(line, "sidestream run "):
		port = s.port
	case strings.Contains(line, "backend"):
		line = "-u HOOK_SECRET " + line + " --listen localhost:" + port
	default:
		line += " --listen localhost:" + port
	}
	p := s.sh("exec env " + line)
	p.awaitListening(port)
	if strings.Contains(line, " demo") { // which looks whether the port is free before it takes it
		p.out.waitFor(func(text string) bool { return strings.Contains(text, "Ctrl-C ends it") })
	}
	if err := p.stop(os.Interrupt); err != nil {
		t.Errorf("Ctrl-C: %v\n%s", err, p.errOut.tail(4000))
	}
	if said := p.errOut.tail(8000); strings.Contains(said, `"level":"error"`) {
		t.Errorf("it says %s", said)
	}
}

// streams: the command prints what is said in room 1.
func streams(t *testing.T, s *docsSite, line string) {
	p := s.sh("exec " + line)
	eventually(t, "a message", func() bool {
		select {
		case <-p.exited:
			text, _, _ := p.out.state()
			t.Fatalf("it ends: %v %s %s", p.err, text, p.errOut.tail(4000))
		default:
		}
		s.post()
		text, _, _ := p.out.state()
		return strings.Contains(text, "hello docs")
	})
}

// watches: the command shows what happens after it has begun.
func watches(t *testing.T, s *docsSite, line string) {
	p := s.sh("exec " + line)
	n := 0
	eventually(t, "something to see", func() bool {
		n++
		s.post()
		req, err := http.NewRequest(http.MethodGet, s.url+"/room/1/live.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(fmt.Sprint("nobody-", n), "x")
		do(t, req)
		text, _, _ := p.out.state()
		return strings.Contains(text, "hello docs") || strings.Contains(text, "refused")
	})
}

// explainsLast: after a delivery that cannot be mapped, the command shows it.
func explainsLast(t *testing.T, s *docsSite, line string) {
	resp, err := http.Post(s.url+"/hooks/chat/"+docsSecret, "application/json", strings.NewReader(`{"message":{"id":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	p := s.sh(line)
	<-p.exited
	if text, _, _ := p.out.state(); p.err != nil || !strings.Contains(text, `{"message":{"id":1}}`) || strings.Contains(text, docsSecret) {
		t.Errorf("%v\n%s\n%s", p.err, text, p.errOut.tail(4000))
	}
}

// explains: the command says what the client or the app gets.
func explains(t *testing.T, s *docsSite, line string) {
	p := s.sh(line)
	<-p.exited
	text, _, _ := p.out.state()
	if !regexp.MustCompile(`the (client|app) gets \d\d\d`).MatchString(text) {
		t.Errorf("%v\n%s\n%s", p.err, text, p.errOut.tail(4000))
	}
}

// saysOf: the command says this.
func saysOf(want string) func(t *testing.T, s *docsSite, line string) {
	return func(t *testing.T, s *docsSite, line string) {
		p := s.sh(line)
		<-p.exited
		if text, _, _ := p.out.state(); p.err != nil || !strings.Contains(text, want) {
			t.Errorf("%v\n%s\n%s", p.err, text, p.errOut.tail(4000))
		}
	}
}

// shakesHands: a Bayeux endpoint, which the site of the root README does not have, gives
// the client a session.
func shakesHands(t *testing.T, s *docsSite, line string) {
	here := *s
	here.server = start(t, newBackend(t).directives("bayeux\nhistory {\n store memory\n}"))
	saysOf(`"successful":true`)(t, &here, line)
}

// looks: the command knows the channel of the file.
func looks(t *testing.T, s *docsSite, line string) {
	p := s.sh(line)
	<-p.exited
	text, _, _ := p.out.state()
	if p.err != nil || !regexp.MustCompile(`the log is whole|"1"`).MatchString(text) {
		t.Errorf("%v\n%s\n%s", p.err, text, p.errOut.tail(4000))
	}
}

// ends: the command ends, and all is well.
func ends(t *testing.T, s *docsSite, line string) {
	p := s.sh(line)
	<-p.exited
	if p.err != nil {
		t.Errorf("%v\n%s", p.err, p.errOut.tail(4000))
	}
}
