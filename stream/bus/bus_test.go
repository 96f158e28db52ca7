package bus

import (
	"slices"
	"testing"
)

func TestMemoryCarriesWordsToTheListenersOfTheirTopic(t *testing.T) {
	m := NewMemory()
	defer m.Close()
	var a, b []string
	stopA := m.Listen("a", func(word []byte) { a = append(a, string(word)) })
	stopB := m.Listen("b", func(word []byte) { b = append(b, string(word)) })
	defer stopB()
	second := 0
	stopSecond := m.Listen("a", func([]byte) { second++ })
	m.Publish("a", []byte("1"))
	m.Publish("b", []byte("2"))
	stopA()
	stopA()
	m.Publish("a", []byte("3"))
	stopSecond()
	m.Publish("a", []byte("4"))
	m.Publish("nobody", []byte("5"))
	if !slices.Equal(a, []string{"1"}) || !slices.Equal(b, []string{"2"}) || second != 2 {
		t.Errorf("heard %v and %v, and %d", a, b, second)
	}
	if len(m.topics.listeners) != 1 {
		t.Errorf("topics %v", m.topics.listeners)
	}
}

// A listener may end itself, or begin another one, while it is called.
func TestListenerEndsItself(t *testing.T) {
	m := NewMemory()
	calls := 0
	var stop func()
	stop = m.Listen("a", func([]byte) {
		calls++
		stop()
		m.Listen("a", func([]byte) { calls += 10 })
	})
	m.Publish("a", nil)
	m.Publish("a", nil)
	if calls != 11 {
		t.Errorf("%d", calls)
	}
}
