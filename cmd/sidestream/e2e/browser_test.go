package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// browser is Chromium, driven by testdata/clients/browser.js.
type browser struct {
	*process
	in    io.Writer
	lines int // of answers that were read
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	chromium := os.Getenv("CHROMIUM")
	if chromium == "" {
		chromium = tool(t, "chromium", "chromium")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{in: w}
	checkNode(t)
	b.process = runWithInput(t, r, []string{"CHROMIUM=" + chromium, "TMPDIR=" + t.TempDir()}, clientsFolder, "node", "browser.js")
	r.Close()
	t.Cleanup(func() { w.Close() })
	b.answer("starting")
	return b
}

// answer is the next line of the driver.
func (b *browser) answer(to string) map[string]any {
	b.t.Helper()
	text, ok := b.out.waitFor(func(text string) bool { return strings.Count(text, "\n") > b.lines })
	if !ok {
		b.t.Fatalf("%s: the browser does not answer", to)
	}
	line := strings.Split(text, "\n")[b.lines]
	b.lines++
	var a map[string]any
	if err := json.Unmarshal([]byte(line), &a); err != nil {
		b.t.Fatalf("%s: the browser answers %q", to, line)
	}
	return a
}

// do is one step of a person in front of a window.
func (b *browser) do(command ...string) map[string]any {
	b.t.Helper()
	line, _ := json.Marshal(command) // strings always can be
	if _, err := fmt.Fprintf(b.in, "%s\n", line); err != nil {
		b.t.Fatal(err)
	}
	a := b.answer(string(line))
	if a["ok"] != true {
		b.t.Fatalf("%s: %v", line, a["error"])
	}
	return a
}

// shows checks all messages that a window shows, in order, and that its scripts
// had nothing to complain of.
func (b *browser) shows(window string, want ...string) {
	b.t.Helper()
	a := b.do("messages", window)
	var got []string
	for _, m := range a["messages"].([]any) {
		got = append(got, m.(string))
	}
	if complaints := a["complaints"].([]any); !slices.Equal(got, want) || len(complaints) > 0 {
		b.t.Errorf("window %s shows %q, want %q; complaints: %v", window, got, want, complaints)
	}
}

// The demo's page in two windows: what one types the other sees, also over a
// restart of the server.
func TestBrowser(t *testing.T) {
	chat := freePort(t)
	s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
	s.url = "http://127.0.0.1:" + s.port
	run(t, []string{"HOOK_SECRET=" + hookSecret}, "", command(t), "backend",
		"--listen", "127.0.0.1:"+chat, "--hook", s.url+"/hooks/chat").awaitListening(chat)
	s.write(fmt.Sprintf(`sidestream 127.0.0.1:%[1]s {
		webhook /hooks/chat {
			preset campfire_classic
			verify standardwebhooks %[2]s
		}
		auth GET /room/{channel}.json {
			cookies chat_session
			identity GET /users/me.json
			user json user.id
		}
		presence {
			grace 1s
		}
		position GET /room/{channel}/recent.json
	}
	reverse_proxy 127.0.0.1:%[1]s`, chat, hookSecret))
	s.begin()

	b := newBrowser(t)
	b.do("open", "alice", s.url+"/", "Alice")
	b.do("open", "bob", s.url+"/", "Bob")
	b.do("state", "alice", "live")
	b.do("state", "bob", "live")

	b.do("present", "alice", "Here: Alice, Bob")
	b.do("present", "bob", "Here: Alice, Bob")

	b.do("type", "alice", "hello <b>Bob</b>")
	b.do("see", "bob", "hello <b>Bob</b>")
	b.do("see", "alice", "hello <b>Bob</b>")
	b.do("type", "bob", "hello Alice \u2603")
	b.do("see", "alice", "hello Alice \u2603")
	b.do("see", "bob", "hello Alice \u2603")

	for i, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		s.stop(signal)
		b.do("state", "alice", "connecting")
		b.do("state", "bob", "connecting")
		s.begin()
		// Said before the browsers are back: they get it by their cursor, for
		// the page loads its history only once.
		speak(t, chat, "carol-token", fmt.Sprint("while you were away ", i))
		text := fmt.Sprint("while you were away ", i)
		b.do("see", "alice", text)
		b.do("see", "bob", text)
		b.do("state", "alice", "live")
		b.do("state", "bob", "live")
	}
	b.do("type", "bob", "still here")
	b.do("see", "alice", "still here")
	b.do("see", "bob", "still here")
	all := []string{"hello <b>Bob</b>", "hello Alice \u2603", "while you were away 0", "while you were away 1", "still here"}
	b.shows("alice", all...)
	b.shows("bob", all...)

	b.do("reload", "alice")
	b.do("see", "alice", "still here")
	b.shows("alice", all...)
	if folder := os.Getenv("SCREENSHOTS"); folder != "" {
		b.do("screenshot", "alice", filepath.Join(folder, "alice.png"))
		b.do("screenshot", "bob", filepath.Join(folder, "bob.png"))
	}
}

// speak says something through the chat app's API.
func speak(t *testing.T, port, token, text string) {
	t.Helper()
	body, _ := json.Marshal(map[string]any{"message": map[string]string{"body": text}}) // strings always can be
	req, err := http.NewRequest(http.MethodPost, "http://127.0.0.1:"+port+"/room/1/speak.json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(token, "x")
	if status, answer := do(t, req); status != http.StatusCreated {
		t.Fatalf("speaking: %d %s", status, answer)
	}
}
