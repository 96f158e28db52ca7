package e2e

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// The demo does what it says it does: every line that it prints is run.
func TestDemo(t *testing.T) {
	tool(t, "curl", "curl")
	temp, port := t.TempDir(), freePort(t)
	env := []string{"TMPDIR=" + temp, "HOME=" + temp + "/home"}
	if err := os.Mkdir(temp+"/home", 0o700); err != nil {
		t.Fatal(err)
	}
	demo := run(t, env, "", command(t), "demo", "--listen", "localhost:"+port)
	welcome, ok := demo.out.waitFor(func(text string) bool { return strings.Contains(text, "Ctrl-C") })
	if !ok {
		t.Fatalf("the demo does not start: %s", welcome)
	}

	// Lines of the shell, joined where they end in a backslash.
	var streams []*process
	var speak string
	var refusals []string
	for line := range strings.Lines(strings.ReplaceAll(welcome, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		line = strings.Replace(line, "go run ./cmd/sidestream", command(t), 1)
		switch {
		case strings.HasPrefix(line, "curl -N "), strings.HasPrefix(line, command(t)):
			streams = append(streams, run(t, nil, "", "sh", "-c", "exec "+line))
		case strings.HasPrefix(line, "curl -i "):
			refusals = append(refusals, line)
		case strings.HasPrefix(line, "curl "):
			speak = line
		}
	}
	if len(streams) != 5 || len(refusals) != 2 || speak == "" {
		t.Fatalf("%d streams, %d refusals, speak %q in\n%s", len(streams), len(refusals), speak, welcome)
	}
	for i, status := range []string{"403", "401"} {
		p := run(t, nil, "", "sh", "-c", "exec "+refusals[i])
		<-p.exited
		if text, _, _ := p.out.state(); !strings.Contains(text, " "+status+" ") {
			t.Errorf("%s: %s", refusals[i], text)
		}
	}
	eventually(t, "every stream says hello", func() bool {
		<-run(t, nil, "", "sh", "-c", "exec "+speak).exited
		for _, p := range streams {
			if text, _, _ := p.out.state(); !strings.Contains(text, "hello") {
				return false
			}
		}
		return true
	})

	second := run(t, env, "", command(t), "demo", "--listen", "localhost:"+port)
	<-second.exited
	if text := second.errOut.tail(4000); second.err == nil || !strings.Contains(text, "port "+port+" is taken") {
		t.Errorf("a second demo: %v %s", second.err, text)
	}

	if err := demo.stop(os.Interrupt); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
	for _, p := range streams[:3] {
		<-p.exited // curl ends with the stream
	}
	for _, folder := range []string{temp, temp + "/home"} {
		left, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range left {
			if entry.Name() != "home" {
				t.Errorf("the demo left %s in %s", entry.Name(), folder)
			}
		}
	}
}

// Caddyfile.example runs as it is, beside "sidestream backend" as it is; only
// the ports differ here.
func TestExample(t *testing.T) {
	app := freePort(t)
	s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
	s.url = "http://localhost:" + s.port
	run(t, nil, "", command(t), "backend", "--listen", "127.0.0.1:"+app, "--hook", s.url+"/hooks/chat").awaitListening(app)
	env := append(s.env(), "SITE_ADDRESS="+s.url, "APP_ADDRESS=127.0.0.1:"+app, "SIDESTREAM_RUN="+s.folder)
	s.process = run(t, env, s.folder, command(t), "run", "--config", exampleFile(t))
	s.awaitListening(s.port)

	c := s.open("/room/1/live.json", basic("alice-token"))
	speak(t, app, "bob-token", "hello example")
	if got := c.next(); c.status != 200 || !strings.Contains(got, `"body":"hello example"`) || !strings.HasSuffix(got, "}\r") {
		t.Errorf("%d %q", c.status, got)
	}
	if denied := s.open("/room/3/live.json", basic("bob-token")); denied.status != 403 {
		t.Errorf("a stranger gets %d", denied.status)
	}
	reload := run(t, env, s.folder, command(t), "reload", "--config", exampleFile(t), "--force")
	<-reload.exited
	if reload.err != nil {
		t.Errorf("reload: %v %s", reload.err, reload.errOut.tail(4000))
	}
	speak(t, app, "bob-token", "hello again")
	if got := c.next(); !strings.Contains(got, "hello again") {
		t.Errorf("after a reload: %q", got)
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("the end: %v", err)
	}
}

func exampleFile(t *testing.T) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return folder + "/../../../Caddyfile.example"
}

// tail goes on where it was, with events and with JSON.
func TestTail(t *testing.T) {
	b := newBackend(t)
	s := start(t, b.directives(""))
	for _, format := range []string{"sse", "json"} {
		t.Run(format, func(t *testing.T) {
			c := &reception{
				process: run(t, []string{"SIDESTREAM_TOKEN=" + goodToken}, "", command(t), "tail", "--raw", "--format", format, s.url+"/flows?filter=acme/"+format),
				server:  s.forTest(t), channel: "acme/" + format, body: flowdockBody,
			}
			c.begin()
			c.more(3)
			s.restart(syscall.SIGTERM)
			c.server = s.forTest(t)
			c.more(3)
			if err := c.stop(os.Interrupt); err != nil {
				t.Errorf("Ctrl-C: %v", err)
			}
		})
	}
	for _, token := range []string{"bad", ""} {
		p := run(t, nil, "", command(t), "tail", "--token", token, s.url+"/flows?filter=a")
		<-p.exited
		if text := p.errOut.tail(4000); p.err == nil || !strings.Contains(text, "--token") {
			t.Errorf("token %q: %v %s", token, p.err, text)
		}
	}
}

// Mistakes in how it is called are said in words.
func TestMistakes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"demo", "--listen", "8080"}, "HOST:PORT"},
		{[]string{"demo", "--listen", taken}, "is taken"},
		{[]string{"backend", "--listen", taken}, "is taken"},
		{[]string{"tail"}, "accepts 1 arg"},
		{[]string{"tail", "--token", "a", "--bearer", "b", "http://" + taken}, "not both"},
		{[]string{"tail", "--token", "a", "-H", "authorization: Token b", "http://" + taken}, "not two of them"},
		{[]string{"tail", "-H", "X-Api-Key", "http://" + taken}, "Name: value"},
		{[]string{"tail", "--format", "xml", "http://" + taken}, "sse or json"},
	} {
		p := run(t, nil, "", command(t), test.args...)
		<-p.exited
		if text := p.errOut.tail(4000); p.err == nil || !strings.Contains(text, test.says) {
			t.Errorf("%v: %v %s", test.args, p.err, text)
		}
	}
	p := run(t, []string{"HOOK_SECRET=hush"}, "", command(t), "backend", "--listen", "127.0.0.1:0")
	<-p.exited
	if text := p.errOut.tail(4000); p.err == nil || !strings.Contains(text, "whsec_") || strings.Contains(text, "hush") {
		t.Errorf("a bad secret: %v %s", p.err, text)
	}
	p = run(t, nil, "", command(t), "version")
	<-p.exited
	if text, _, _ := p.out.state(); !strings.HasPrefix(text, "sidestream ") || !strings.Contains(text, "Caddy v2") {
		t.Errorf("version: %s", text)
	}
}

// A configuration can be validated while a server runs with it. One whose history
// another process has does not start, and a reload to it changes nothing.
func TestValidateBesideTheServer(t *testing.T) {
	first, second := start(t, storing("hub.db", "")), start(t, storing("hub.db", ""))
	p := run(t, first.env(), first.folder, command(t), "validate", "--config", first.caddyfile(), "--adapter", "caddyfile")
	<-p.exited
	if p.err != nil {
		t.Errorf("validate: %v %s", p.err, p.errOut.tail(4000))
	}
	st := second.open(sseStream)
	if err := second.tryReload(storing(first.folder+"/hub.db", "")); err == nil || !strings.Contains(err.Error(), "another process has the log open") {
		t.Errorf("a reload to the history of another server: %v", err)
	}
	second.say("1", "1", "still here")
	st.until("still here")
	first.say("1", "1", "and here")
}

// The secret of Caddyfile.example is public, so it is good for one's own machine
// only.
func TestExampleSecretIsRefusedOnASite(t *testing.T) {
	own := "HOOK_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	copied := "HOOK_SECRET=whsec_bm90LWEtc2VjcmV0LWp1c3QtdGhlLWV4YW1wbGUh"
	for _, test := range []struct {
		site, secret string
		good         bool
	}{
		{"", "X=", true},
		{"http://127.0.0.1:8080", "X=", true},
		{"http://chat.localhost", "X=", true},
		{"chat.example.com", "X=", false},
		{"chat.example.com", copied, false},
		{":8080", "X=", false},
		{"http://localhost:8080, http://chat.example.com:8080", "X=", false},
		{"http://192.168.1.7:8080", "X=", false},
		{"chat.example.com", own, true},
	} {
		s := &server{t: t, folder: t.TempDir()}
		env := append(s.env(), test.secret, "SIDESTREAM_RUN="+s.folder)
		if test.site != "" {
			env = append(env, "SITE_ADDRESS="+test.site)
		}
		p := run(t, env, s.folder, command(t), "validate", "--config", exampleFile(t))
		<-p.exited
		said := p.errOut.tail(4000)
		if (p.err == nil) != test.good || !test.good && !strings.Contains(said, "export HOOK_SECRET=whsec_$(openssl") {
			t.Errorf("%s, %s: %v %s", test.site, test.secret, p.err, said)
		}
	}
}
