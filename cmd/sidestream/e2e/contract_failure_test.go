package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/cmd/sidestream/e2e/contract"
)

// What can go wrong with the history's file, and what happens then.

// storing is a site whose history is in a file.
func storing(file, more string) string {
	return openSite("drain 200ms\nhistory {\n store file " + file + "\n per_channel 100000 24h 1GiB\n}\n" + more)
}

// launch starts the command without waiting for it.
func (s *server) launch() {
	s.t.Helper()
	s.process = run(s.t, s.env(), s.folder, command(s.t), "run", "--config", s.caddyfile(), "--adapter", "caddyfile")
}

// served tells whether the process that was launched serves; otherwise it has
// ended, and why is what it said.
func (s *server) served() (ok bool, why string) {
	s.t.Helper()
	eventually(s.t, "serving, or the end", func() bool {
		select {
		case <-s.exited:
			return true
		default:
			ok = s.health() == http.StatusOK
			return ok
		}
	})
	return ok, s.errOut.tail(4000)
}

// postRaw posts a message and returns what is answered.
func (s *server) postRaw(channel, id, body string) (status int, answer string) {
	s.t.Helper()
	r, err := http.Post(s.url+"/hook", "application/json",
		strings.NewReader(fmt.Sprintf(`{"channel":%q,"id":%q,"body":%q}`, channel, id, body)))
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// verify has the command look at a history's file, whose server has ended.
func (s *server) verify(file string) {
	s.t.Helper()
	p := run(s.t, nil, "", command(s.t), "log", file, "--verify")
	<-p.exited
	if text, _, _ := p.out.state(); p.err != nil || !strings.Contains(text, "whole") {
		s.t.Errorf("the file is not whole: %v %s%s", p.err, text, p.errOut.tail(2000))
	}
}

// A damaged file: the server says so and does not start, or serves what it has;
// it never serves anything else.
func TestDamagedFile(t *testing.T) {
	channels := names(3)
	s := start(t, storing("hub.db", ""))
	c := newCrowd(t)
	p := &speaker{rec: c.rec, url: s.url + "/hook", client: c.client}
	for n := range 200 {
		p.deliver(contract.Event{Channel: channels[n%3], ID: fmt.Sprint("message-", n)})
	}
	for _, channel := range channels {
		p.deliver(endOf(channel, 0))
	}
	s.stop(syscall.SIGKILL)
	file := filepath.Join(s.folder, "hub.db")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 0x10
		return b
	}
	refused, served := 0, 0
	for name, bad := range map[string][]byte{
		"without its last byte":  good[:len(good)-1],
		"without its last page":  good[:len(good)-4096],
		"cut in the middle":      good[:len(good)/2+1],
		"empty":                  {},
		"first meta page":        flip(16 + 40),
		"second meta page":       flip(4096 + 16 + 40),
		"a message":              flip(bytes.Index(good, []byte("message-7 \u2603"))),
		"the newest message":     flip(bytes.LastIndex(good, []byte("room-3/"+endMark))),
		"a quarter":              flip(len(good) / 4),
		"a half":                 flip(len(good) / 2),
		"three quarters":         flip(len(good) / 4 * 3),
		"something else at all":  bytes.Repeat([]byte("not a log\n"), 4000),
		"as it was, not damaged": good,
	} {
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s.launch()
		ok, why := s.served()
		if !ok {
			refused++
			if !strings.Contains(why, "hub.db") || !strings.Contains(why, "damaged") || strings.Contains(why, "goroutine ") {
				t.Errorf("%s: refused with %s", name, why)
			}
			if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, bad) {
				t.Errorf("%s: the damaged file was changed: %v", name, err)
			}
			continue
		}
		served++
		err := readAudit(c.rec, "127.0.0.1:"+s.port, channels, epochNow(c.rec.History()), 0)
		t.Logf("%s: served, and read with %v", name, err)
		s.stop(syscall.SIGKILL)
	}
	if refused == 0 || served == 0 {
		t.Errorf("%d refused, %d served", refused, served)
	}
	t.Logf("%d refused, %d served", refused, served)
	c.goHome()
	c.check(0)
}

// A second server on the same file says so and ends; the first goes on.
func TestSecondServer(t *testing.T) {
	s := start(t, storing("hub.db", ""))
	st := s.open(sseStream)
	second := &server{t: t, folder: t.TempDir(), port: freePort(t)}
	second.url = "http://127.0.0.1:" + second.port
	second.write(storing(s.folder+"/hub.db", ""))
	second.launch()
	ok, why := second.served()
	if ok || !strings.Contains(why, "hub.db") || !strings.Contains(why, "another process has the log open") {
		t.Errorf("the second server: serving %t, says %s", ok, why)
	}
	s.say("1", "1", "still here")
	st.until("still here")
	s.stop(syscall.SIGKILL)
	second.begin() // a dead one holds nothing
	again := second.open(sseStream+"&on_gap=oldest", "Last-Event-ID: x")
	again.until("still here")
}

// A file of a newer version is left alone.
func TestNewerFormat(t *testing.T) {
	s := start(t, storing("hub.db", ""))
	s.say("1", "1", "hello")
	s.stop(syscall.SIGTERM)
	file := filepath.Join(s.folder, "hub.db")
	db, err := bolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	var format []byte
	err = db.Update(func(tx *bolt.Tx) error {
		hub := tx.Bucket([]byte("hub"))
		format = bytes.Clone(hub.Get([]byte("format")))
		return hub.Put([]byte("format"), []byte("99"))
	})
	if err := errors.Join(err, db.Close()); err != nil || len(format) == 0 {
		t.Fatalf("changing the format %q: %v", format, err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s.launch()
	if ok, why := s.served(); ok || !strings.Contains(why, "newer version") || !strings.Contains(why, "hub.db") {
		t.Errorf("serving %t, says %s", ok, why)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed: %v", err)
	}
}

// When descriptors run out, new streams are refused, and the log and /health say
// so; streams that are open, webhooks and the store carry on.
func TestTooFewDescriptors(t *testing.T) {
	s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
	s.url = "http://127.0.0.1:" + s.port
	s.write(storing("hub.db", ""))
	s.process = run(t, s.env(), s.folder, "sh", "-c", `ulimit -n 256; exec "$0" "$@"`,
		command(t), "run", "--config", s.caddyfile(), "--adapter", "caddyfile")
	s.awaitListening(s.port)
	channels := names(4)
	c := newCrowd(t)
	for i := range 20 {
		c.listen(&listener{dialect: dialects[i%len(dialects)], address: "127.0.0.1:" + s.port, channels: channels[i%4 : i%4+1]})
	}
	c.begin()
	// The publisher's connection is open before the flood, and stays.
	p := &speaker{rec: c.rec, url: s.url + "/hook", client: c.client}
	number := 0
	say := func(n int) {
		for range n {
			p.deliver(contract.Event{Channel: channels[number%4], ID: fmt.Sprint("message-", number)})
			number++
		}
	}
	say(40)
	var flood []net.Conn
	statuses := map[string]int{}
	for range 400 {
		conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err != nil {
			break
		}
		flood = append(flood, conn)
		// One after the other, so that it is streams that take the descriptors, and
		// not connections that will be refused.
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", campfireStream)
		conn.SetReadDeadline(time.Now().Add(patience))
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil {
			t.Fatalf("a stranger got no answer: %q, %v", line, err)
		}
		statuses[strings.TrimSpace(line)]++
	}
	if len(statuses) != 2 || statuses["HTTP/1.1 200 OK"] < 50 || statuses["HTTP/1.1 503 Service Unavailable"] < 50 {
		t.Errorf("the strangers got %v: some should have got a stream, and the others be told to come back", statuses)
	}
	s.awaitHealth(http.StatusServiceUnavailable)
	before := len(c.rec.History().Attempts)
	say(400)
	if attempts := len(c.rec.History().Attempts) - before; attempts > 400 {
		t.Errorf("%d attempts for 400 messages", attempts)
	}
	for _, conn := range flood {
		conn.Close()
	}
	s.awaitHealth(http.StatusOK)
	last := c.fallSilent(s.url, channels)
	if err := readAudit(c.rec, "127.0.0.1:"+s.port, channels, epochNow(c.rec.History()), last); err != nil {
		t.Error(err)
	}
	c.goHome()
	h := c.check(0)
	for _, session := range h.Sessions {
		if !session.Last && !session.Audit {
			t.Errorf("the stream of %s was cut", session.Client)
		}
	}
	log := s.errOut.tail(1 << 20)
	if said := strings.Count(log, "file descriptors are running out"); said < 1 || said > 3 {
		t.Errorf("the log says %d times that there are no descriptors", said)
	}
	if !strings.Contains(log, "there are enough file descriptors again") {
		t.Error("the log does not say that there are descriptors again")
	}
	s.stop(syscall.SIGTERM)
	s.verify(filepath.Join(s.folder, "hub.db"))
}
