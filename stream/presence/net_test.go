package presence

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-078801ba/sidestream/stream/bus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is a bus for several nodes of one test. A node that is cut hears and says
// nothing.
type network struct {
	mu    sync.Mutex
	ports []*port
	words int // that were said
	lose  func() bool
}

// port is one node's end of the network.
type port struct {
	net    *network
	topics bus.Topics
	words  chan word
	end    chan struct{}
	once   sync.Once
	cut    bool
}

type word struct {
	topic string
	text  []byte
}

func (n *network) node() *port {
	p := &port{net: n, words: make(chan word, 10_000), end: make(chan struct{})}
	n.mu.Lock()
	n.ports = append(n.ports, p)
	n.mu.Unlock()
	go func() {
		for {
			select {
			case w := <-p.words:
				p.topics.Tell(w.topic, w.text)
			case <-p.end:
				return
			}
		}
	}()
	return p
}

func (p *port) Publish(topic string, text []byte) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if p.cut {
		return
	}
	p.net.words++
	for _, other := range p.net.ports {
		if other.cut || p.net.lose != nil && p.net.lose() {
			continue
		}
		select {
		case other.words <- word{topic, slices.Clone(text)}:
		default:
		}
	}
}

func (p *port) Listen(topic string, f bus.Listener) func() { return p.topics.Add(topic, f) }
func (*port) Alone() bool                                  { return false }
func (p *port) Close()                                     { p.once.Do(func() { close(p.end) }) }

// setCut cuts a node off, or connects it again.
func (p *port) setCut(cut bool) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.cut = cut
}

func (n *network) said() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.words
}

// record is what a watcher was told, and the roster that it makes of it.
type record struct {
	t *testing.T

	mu    sync.Mutex
	lines []string
	there map[string]State
	count int
	many  bool
	fresh bool // told nothing yet
}

func watch(t *testing.T, r *Roster, channel string) (*record, *Watch) {
	rec := &record{t: t, fresh: true}
	return rec, r.Watch(channel, rec.hear)
}

// hear checks that joins and leaves come in turn.
func (rec *record) hear(changes []Change) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for _, c := range changes {
		line := fmt.Sprintf("%s %s %s", c.Kind, c.User, c.State)
		was, known := rec.there[c.User], false
		_, known = rec.there[c.User]
		switch c.Kind {
		case Listed:
			rec.there, rec.many = map[string]State{}, false
			for _, p := range c.Users {
				rec.there[p.User] = p.State
			}
			if len(rec.there) != c.Count {
				rec.t.Errorf("%d users listed, %d counted", len(rec.there), c.Count)
			}
			line = fmt.Sprintf("snapshot %d", c.Count)
		case Counted:
			rec.there, rec.many = nil, true
			line = fmt.Sprintf("count %d", c.Count)
		case Joined:
			if known {
				rec.t.Errorf("%s joins, and is there", c.User)
			}
			rec.there[c.User] = c.State
		case Left:
			if !known || c.State != Offline {
				rec.t.Errorf("%s leaves (%v), and is not there", c.User, c.State)
			}
			delete(rec.there, c.User)
		case Changed:
			if !known || was == c.State {
				rec.t.Errorf("%s is %s, and was %s", c.User, c.State, was)
			}
			rec.there[c.User] = c.State
		}
		if rec.fresh && c.Kind != Listed && c.Kind != Counted {
			rec.t.Errorf("the first that was told is %s", line)
		}
		rec.fresh = false
		if !rec.many && len(rec.there) != c.Count {
			rec.t.Errorf("%d users are known, %d are counted, after %s", len(rec.there), c.Count, line)
		}
		rec.count = c.Count
		rec.lines = append(rec.lines, line)
	}
}

// took gives what was told since it was last called.
func (rec *record) took() []string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	lines := rec.lines
	rec.lines = nil
	return lines
}

func (rec *record) expect(lines ...string) {
	rec.t.Helper()
	if got := rec.took(); !slices.Equal(got, lines) {
		rec.t.Errorf("told %q, want %q", got, lines)
	}
}
