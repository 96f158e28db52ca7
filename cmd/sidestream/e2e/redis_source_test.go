package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/cmd/sidestream/e2e/contract"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// chatSources are the ways in by which the app of these tests publishes: to a
// Redis channel for each room, with ids; to one for all, without; and to a
// stream.
func chatSources(address string) string {
	return fmt.Sprintf(`redis redis://%[1]s {
			name rooms
			psubscribe chat:*
			match "^chat:(?<room>.+)$"
			map channel {match.room}
			map id {json.id}
			map body {json.body}
			probe 1s
		}
		redis redis://%[1]s {
			name plain
			subscribe plain
			map channel {json.room}
			map body {json.body}
			probe 1s
		}
		redis redis://%[1]s {
			name rows
			stream rows
			map channel {json.room}
			map id {json.id}
			map body {json.body}
			probe 1s
		}`, address)
}

// hearing is a stream of server-sent events that a test reads to a message.
type hearing struct {
	t *testing.T
	r *bufio.Reader
	// cursor is that of the last message or gap.
	cursor string
}

func (s *server) hear(cursor string, channels ...string) *hearing {
	s.t.Helper()
	lines := []string{"Accept: text/event-stream"}
	if cursor != "" {
		lines = append(lines, "Last-Event-ID: "+cursor)
	}
	st := s.open("/flows?filter="+strings.Join(channels, ","), lines...)
	if st.status != http.StatusOK {
		s.t.Fatalf("a stream: %d", st.status)
	}
	return &hearing{t: s.t, r: bufio.NewReader(&unchunked{st: st})}
}

// unchunked reads what is in a stream's chunks.
type unchunked struct {
	st   *rawStream
	rest string
}

func (u *unchunked) Read(b []byte) (int, error) {
	for u.rest == "" {
		var err error
		if u.rest, err = u.st.chunk(); err != nil {
			return 0, err
		}
	}
	n := copy(b, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

// until are the bodies of all messages up to one that is enough, with "gap:" and
// the reason for gaps.
func (h *hearing) until(enough func(body string) bool) []string {
	h.t.Helper()
	var all []string
	for {
		m, err := readSSE(h.r)
		if err != nil {
			h.t.Fatalf("reading a stream after %d messages: %v", len(all), err)
		}
		if m == nil {
			continue
		}
		if m.Cursor != "" {
			h.cursor = m.Cursor
		}
		switch m.Kind {
		case contract.Gap:
			all = append(all, "gap:"+m.Reason)
		case contract.Message:
			all = append(all, m.Body)
		default:
			continue
		}
		if enough(all[len(all)-1]) {
			return all
		}
	}
}

// all reads until it has seen all of these, in any order.
func (h *hearing) all(due ...string) {
	h.t.Helper()
	h.until(func(body string) bool {
		due = slices.DeleteFunc(due, func(d string) bool { return d == body })
		return len(due) == 0
	})
}

func is(text string) func(string) bool { return func(body string) bool { return body == text } }

// Every node hears every PUBLISH and reads every entry of the stream; each is
// there once, in the same order for all, also while a node dies and comes back.
func TestRedisPublishOnce(t *testing.T) {
	redis := redistest.Start(t)
	nodes := startNodes(t, 3, sharedSite("redis://"+redis.Addr, chatSources(redis.Addr)))
	app := redisClient(t, redis.Addr)
	hearings := []*hearing{nodes[0].hear("", "1", "2"), nodes[1].hear("", "1", "2")}
	const each = 150
	var publishing sync.WaitGroup
	for name, publish := range map[string]func(room, body string, n int){
		"with-id": func(room, body string, n int) {
			tell(t, app, "PUBLISH", "chat:"+room, fmt.Sprintf(`{"id":"%d","body":%q}`, n, body))
		},
		"plain": func(room, body string, _ int) {
			tell(t, app, "PUBLISH", "plain", fmt.Sprintf(`{"room":%q,"body":%q}`, room, body))
		},
		"row": func(room, body string, n int) {
			tell(t, app, "XADD", "rows", "*", "payload", fmt.Sprintf(`{"room":%q,"id":"row-%d","body":%q}`, room, n, body))
		},
	} {
		publishing.Go(func() {
			for n := range each {
				publish(strconv.Itoa(1+n%2), fmt.Sprint(name, "-", n), n)
				<-time.After(5 * time.Millisecond)
			}
		})
	}
	<-time.After(200 * time.Millisecond)
	nodes[2].stop(syscall.SIGKILL)
	nodes[2].begin()
	publishing.Wait()
	nodes[2].awaitHealth(http.StatusOK)
	hearings = append(hearings, nodes[2].hear(epochOf(t, nodes[0])+".0.000000", "1", "2"))
	left := 3 * each
	got := hearings[0].until(func(body string) bool { left--; return left == 0 })
	<-time.After(200 * time.Millisecond) // for what should not come
	nodes[1].say("1", "the end", "the end")
	got = append(got, hearings[0].until(is("the end"))...)
	for i, h := range hearings[1:] {
		if other := h.until(is("the end")); !slices.Equal(got, other) {
			t.Errorf("node %d shows something else than the first: %d and %d messages", i+1, len(other), len(got))
		}
	}
	for _, name := range []string{"with-id", "plain", "row"} {
		at := 0
		for _, body := range got {
			if rest, ok := strings.CutPrefix(body, name+"-"); ok {
				if rest != strconv.Itoa(at) {
					t.Fatalf("%s: got %s instead of %d", name, rest, at)
				}
				at++
			}
		}
		if at != each {
			t.Errorf("%s: %d of %d messages", name, at, each)
		}
	}
	if len(got) != 3*each+1 {
		t.Errorf("%d messages and gaps instead of %d", len(got), 3*each+1)
	}

	// Nobody listens any more: what is published now is lost but for the stream,
	// and those who come back are told.
	for _, node := range nodes {
		node.stop(syscall.SIGKILL)
	}
	tell(t, app, "PUBLISH", "chat:1", `{"id":"lost","body":"lost"}`)
	tell(t, app, "XADD", "rows", "*", "payload", `{"room":"2","id":"kept","body":"kept"}`)
	for _, node := range nodes[:2] {
		node.begin()
		node.awaitHealth(http.StatusOK)
	}
	for _, channel := range []string{"1", "2"} {
		heard := nodes[1].hear(hearings[0].cursor, channel)
		nodes[0].say(channel, "after", "after")
		// They come in any order: a webhook does not wait for what Redis
		// sources have to say.
		due := []string{"gap:ingest-uncertain", "after"}
		if channel == "2" {
			due = append(due, "kept")
		}
		heard.all(due...)
	}
}

// epochOf is the epoch of a node's log.
func epochOf(t *testing.T, node *server) string {
	t.Helper()
	rec := contract.NewRecorder()
	p := &speaker{rec: rec, url: node.url + "/hook", client: http.DefaultClient}
	if !p.attempt(contract.Event{Channel: "elsewhere", ID: "epoch"}) {
		t.Fatal("a publish was not acknowledged")
	}
	return epochNow(rec.History())
}

// The connections that listen are cut all the time: webhooks are not touched by
// that, and of what is published to Redis nothing is lost without a word.
func TestRedisSubscriptionsCut(t *testing.T) {
	redis := redistest.Start(t)
	nodes := startNodes(t, 2, sharedSite("redis://"+redis.Addr, chatSources(redis.Addr)))
	front, channels := balance(t, nodes), names(3)
	c := newCrowd(t)
	c.speak(front, 6, atRate(60), channels)
	c.audience(front, 12, channels)
	c.begin()
	app := redisClient(t, redis.Addr)
	stop := make(chan struct{})
	var publishing sync.WaitGroup
	published := 0
	publishing.Go(func() {
		for {
			e := contract.Event{Channel: channels[published%len(channels)], ID: fmt.Sprint("published-", published/len(channels))}
			a := contract.Attempt{Event: e, Body: textOf(e), Start: c.rec.Now()}
			tell(t, app, "PUBLISH", "chat:"+e.Channel, fmt.Sprintf(`{"id":%q,"body":%s}`, e.ID, jsonText(a.Body)))
			a.End = c.rec.Now()
			c.rec.Attempted(a)
			published++
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
			}
		}
	})
	every(200*time.Millisecond, 20, func() { redis.CLI("CLIENT", "KILL", "TYPE", "pubsub") })
	for _, node := range nodes {
		node.awaitHealth(http.StatusOK)
	}
	<-time.After(300 * time.Millisecond)
	close(stop)
	publishing.Wait()
	h := c.judge(front, nodes, channels)
	t.Log(count(h))

	audited, lost, gaps := 0, 0, 0
	for _, s := range h.Sessions {
		if !s.Audit {
			continue
		}
		audited++
		next, told := map[string]int{}, map[string]bool{}
		for _, m := range s.Seen {
			if m.Kind == contract.Gap {
				gaps++
				told[m.Channel] = true
				continue
			}
			text, ok := strings.CutPrefix(m.ID, "published-")
			if !ok {
				continue
			}
			n, _ := strconv.Atoi(text)
			if n > next[m.Channel] && !told[m.Channel] {
				t.Errorf("%s: after %d comes %d, and no gap is told", m.Channel, next[m.Channel]-1, n)
			}
			lost += n - next[m.Channel]
			next[m.Channel], told[m.Channel] = n+1, false
		}
		for _, channel := range channels {
			if last := published/len(channels) - 1; next[channel] < last {
				t.Errorf("%s: the last is %d, and %d was published", channel, next[channel]-1, last)
			}
		}
	}
	t.Logf("%d published; %d lost with %d gaps told, over %d readings", published, lost, gaps, audited)
	if lost == 0 || gaps == 0 || published < 100 {
		t.Error("too little happened")
	}
}

// A reload with the same source leaves it alone; with another one, it is
// replaced; and one that fails has no effect.
func TestRedisSourceReload(t *testing.T) {
	redis := redistest.Start(t)
	site := func(extra string) string {
		return sharedSite("redis://"+redis.Addr, chatSources(redis.Addr)+"\n"+extra)
	}
	s := start(t, site(""))
	s.awaitHealth(http.StatusOK)
	listeners := func() []string {
		var ids []string
		for line := range strings.Lines(redis.CLI("CLIENT", "LIST", "TYPE", "pubsub")) {
			ids = append(ids, strings.Fields(line)[0])
		}
		slices.Sort(ids)
		return ids
	}
	before := listeners()
	if len(before) != 2 {
		t.Fatalf("listening: %v", before)
	}
	heard := s.hear("", "1")
	app := redisClient(t, redis.Addr)
	ctx, cancel := context.WithCancel(context.Background())
	var publishing sync.WaitGroup
	published := 0
	publishing.Go(func() {
		for ctx.Err() == nil {
			tell(t, app, "PUBLISH", "chat:1", fmt.Sprintf(`{"id":"%d","body":"%d"}`, published, published))
			published++
			<-time.After(2 * time.Millisecond)
		}
	})
	for i := range 5 {
		s.reload(site(fmt.Sprint("realm r", i)))
	}
	cancel()
	publishing.Wait()
	if after := listeners(); !slices.Equal(before, after) {
		t.Errorf("listening: %v, and before the reloads %v", after, before)
	}
	for n, body := range heard.until(is(strconv.Itoa(published - 1))) {
		if body != strconv.Itoa(n) {
			t.Fatalf("got %s instead of %d", body, n)
		}
	}

	// This one has another source, and a port that is taken.
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	other := sharedSite("redis://"+redis.Addr, fmt.Sprintf(`redis redis://%s {
		psubscribe talk:*
		match "^talk:(?<room>.+)$"
		map channel {match.room}
		map id {json.id}
		map body {json.body}
	}`, redis.Addr))
	for i := range 5 { // whether it fails before or after the source was replaced is chance
		if err := s.tryReload(other + "\n}\nhttp://" + busy.Addr().String() + " {\nrespond 200"); err == nil {
			t.Fatal("a port that is taken was taken")
		}
		s.awaitHealth(http.StatusOK)
		body := fmt.Sprint("goes on ", i)
		tell(t, app, "PUBLISH", "chat:1", fmt.Sprintf(`{"id":%q,"body":%[1]q}`, body))
		heard.until(is(body))
	}

	s.reload(other)
	s.awaitHealth(http.StatusOK)
	tell(t, app, "PUBLISH", "chat:1", `{"id":"gone","body":"gone"}`)
	tell(t, app, "PUBLISH", "talk:1", `{"id":"there","body":"there"}`)
	if got := heard.until(is("there")); slices.Contains(got, "gone") {
		t.Errorf("got %q", got)
	}
	if after := listeners(); len(after) != 1 || slices.Contains(before, after[0]) {
		t.Errorf("listening: %v, and before %v", after, before)
	}
}
