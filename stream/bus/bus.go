// Package bus carries words between the nodes of a hub that are worth something
// now or never: who is there, and direct messages to those who are.
//
// A word is not stored. It reaches every node that is connected when it is said, at
// most once, and the words of one node on one topic arrive in the order in which
// they were said. Whoever cannot bear to miss one must notice by itself that it did.
//
// The package knows nothing of what the words mean, and nothing of streams.
package bus

import (
	"slices"
	"sync"
)

// Bus carries words between nodes. It is safe for concurrent use.
type Bus interface {
	// Publish says a word to whoever listens to the topic, on all nodes, this one
	// included. It does not wait for other nodes, and promises nothing. The word
	// must not be changed any more.
	Publish(topic string, word []byte)
	// Listen has f called with every word on a topic, one after the other. f must
	// not wait, and must not change the word. It may be called before Publish
	// returns: who publishes must hold no lock that f takes. After stop, f is not
	// called any more, but for a call that has begun.
	Listen(topic string, f Listener) (stop func())
	// Alone tells whether there can be no other nodes.
	Alone() bool
	// Close ends the bus. Then it carries nothing.
	Close()
}

// Listener is told the words of a topic.
type Listener func(word []byte)

// Topics are the listeners of one node, for those who make a Bus. The zero value is
// ready to use.
type Topics struct {
	mu        sync.Mutex
	listeners map[string][]*Listener
}

// Add adds a listener of a topic, and remove takes it out again.
func (t *Topics) Add(topic string, f Listener) (remove func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.listeners == nil {
		t.listeners = map[string][]*Listener{}
	}
	own := &f
	t.listeners[topic] = append(slices.Clone(t.listeners[topic]), own)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		at := slices.Index(t.listeners[topic], own)
		if at < 0 {
			return
		}
		rest := slices.Delete(slices.Clone(t.listeners[topic]), at, at+1)
		if t.listeners[topic] = rest; len(rest) == 0 {
			delete(t.listeners, topic)
		}
	}
}

// Tell tells the listeners of a topic a word.
func (t *Topics) Tell(topic string, word []byte) {
	t.mu.Lock()
	listeners := t.listeners[topic] // replaced, never changed
	t.mu.Unlock()
	for _, f := range listeners {
		(*f)(word)
	}
}

// Memory is the bus of a hub that only one node has: it carries words from one
// part of the process to another. Publish calls the listeners before it returns.
type Memory struct{ topics Topics }

// NewMemory makes one.
func NewMemory() *Memory { return new(Memory) }

// Publish implements Bus.
func (m *Memory) Publish(topic string, word []byte) { m.topics.Tell(topic, word) }

// Listen implements Bus.
func (m *Memory) Listen(topic string, f Listener) (stop func()) {
	return m.topics.Add(topic, f)
}

// Alone implements Bus: it is.
func (*Memory) Alone() bool { return true }

// Close implements Bus.
func (*Memory) Close() {}

var _ Bus = (*Memory)(nil)
