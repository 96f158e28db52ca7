package e2e

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// capture is a request that a real app sent, byte for byte
// (testdata/captures/README.md).
type capture struct {
	Line    string      `json:"line"`
	Headers [][2]string `json:"headers"`
	Body    string      `json:"body"`
	What    string      `json:"what"`
}

func captures(t *testing.T) []capture {
	t.Helper()
	f, err := os.Open("testdata/captures/webhooks.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []capture
	for scanner := bufio.NewScanner(f); scanner.Scan(); {
		var c capture
		if err := json.Unmarshal(scanner.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		t.Fatal("there are no captures")
	}
	return all
}

// replay sends a capture to the hook of its app.
func (c capture) replay(t *testing.T, s *server) (status int, answer string) {
	t.Helper()
	method, rest, _ := strings.Cut(c.Line, " ")
	target, _, _ := strings.Cut(rest, " ")
	path := "/hooks/mattermost"
	// The recorder's own prefix goes, the homeserver's path stays.
	if i := strings.Index(target, "/_matrix/"); i >= 0 {
		path = "/hooks/matrix" + target[i:]
	}
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(c.Body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range c.Headers {
		switch h[0] {
		case "Host", "Content-Length", "Connection":
		default:
			req.Header.Add(h[0], h[1])
		}
	}
	return do(t, req)
}

// Real apps' webhooks come out as the bytes that real clients read.
func TestCapturesReplayed(t *testing.T) {
	b := newBackend(t)
	s := start(t, fmt.Sprintf(`sidestream %[1]s {
		webhook /hooks/mattermost {
			preset mattermost
			secret i7c9uhxjm3rztbhsawjfyr9uer ccpru616j3dh5eko7fu4jpud9a
		}
		webhook /hooks/matrix {
			preset matrix
			secret hs_secret_token_0123456789
		}
		auth GET /may/{channel}
		history {
			store memory
		}
	}
	reverse_proxy %[1]s`, b.address()))

	const (
		lobby = "xa6sd3erbt8huk45cufzqr4fnh"
		other = "pmyket76atdm5cn7uc8r6zk7io"
		room  = "!MrE8nhbmu4Rr8rfa:localhost"
	)
	filter := "/flows?filter=" + url.QueryEscape(strings.Join([]string{lobby, other, room}, ","))
	type listener struct {
		golden string
		stream *rawStream
		last   string // what the last message contains
	}
	listeners := []listener{
		{"mattermost-json.campfire.json", s.open("/room/"+lobby+"/live.json", basic(goodToken)), "hello JSON"},
		{"mattermost-form.campfire.json", s.open("/room/"+other+"/live.json", basic(goodToken)), "hello FORM"},
		{"mattermost-json.campfire.xml", s.open("/room/"+lobby+"/live.xml", basic(goodToken)), "hello JSON"},
		{"matrix.campfire.json", s.open("/room/"+url.PathEscape(room)+"/live.json", basic(goodToken)), `"p3"`},
		{"matrix.campfire.xml", s.open("/room/"+url.PathEscape(room)+"/live.xml", basic(goodToken)), ">p3<"},
		{"all.flowdock.json", s.open(filter, basic(goodToken)), `"p3"`},
		{"all.sse", s.open(filter, basic(goodToken), "Accept: text/event-stream"), `"p3"`},
	}
	for _, c := range captures(t) {
		status, answer := c.replay(t, s)
		switch {
		case strings.HasPrefix(c.Line, "GET "): // a preview of the address, as chats make them
			if status != http.StatusMethodNotAllowed || answer != "" {
				t.Errorf("%s: %d %q", c.What, status, answer)
			}
		case status != http.StatusOK || answer != "{}": // which both apps stand
			t.Errorf("%s: %d %q", c.What, status, answer)
		}
	}
	cursor := regexp.MustCompile(`[0-9a-f]{16}\.(\d+)\.[0-9a-z]{6}`) // epoch and tag are random
	for _, l := range listeners {
		var got strings.Builder
		// Positions are counted: the log also has that a way in was interrupted, and
		// takes that as the process starts, before or between the first events.
		position, last := 0, 0
		count := func(c string) string {
			seq, err := strconv.Atoi(cursor.FindStringSubmatch(c)[1])
			if err != nil || seq <= last {
				t.Errorf("%s: position %s comes after %d", l.golden, c, last)
			}
			position, last = position+1, seq
			return fmt.Sprintf("EPOCH.%d.TAG", position)
		}
		fmt.Fprintf(&got, "%d %s\n", l.stream.status, l.stream.header.Get("Content-Type"))
		for _, chunk := range l.stream.until(l.last) {
			// One chunk a line, as a Go string.
			fmt.Fprintf(&got, "%+q\n", cursor.ReplaceAllStringFunc(chunk, count))
		}
		golden(t, filepath.Join("testdata/captures", l.golden+".golden"), got.String())
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}
