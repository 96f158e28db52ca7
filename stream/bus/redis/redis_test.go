package redis

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-078801ba/sidestream/stream/redisconn"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// A client of rueidis that could not connect leaves a timer behind, which ends by
// itself within a second.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}

// ear remembers what it hears.
type ear struct {
	mu    sync.Mutex
	words []string
}

func (e *ear) hear(word []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.words = append(e.words, string(word))
}

func (e *ear) heard() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.words)
}

func (e *ear) has(word string) bool { return slices.Contains(e.heard(), word) }

// open makes a node's bus.
func open(t *testing.T, addr string, report func(error)) *Bus {
	t.Helper()
	at, err := redisconn.Parse(addr)
	if err != nil {
		t.Fatal(err)
	}
	b := Open(Options{Address: at, Channel: "sidestream:{chat}:bus", Report: report})
	t.Cleanup(b.Close)
	return b
}

func TestWordsReachAllNodesInOrder(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "no")
	a, b := open(t, "redis://"+server.Addr, nil), open(t, "redis://"+server.Addr, nil)
	unused := open(t, "redis://"+server.Addr, nil)
	var atA, atB, other ear
	defer a.Listen("x", atA.hear)()
	defer b.Listen("x", atB.hear)()
	defer b.Listen("y", other.hear)()
	redistest.Until(t, "both are connected", func() bool { return a.Stats().Connected && b.Stats().Connected })
	var want []string
	for i := range 2000 {
		want = append(want, fmt.Sprint(i, "\x00\r\n"))
		a.Publish("x", []byte(want[i]))
	}
	b.Publish("y", nil)
	redistest.Until(t, "all is heard", func() bool {
		return len(atA.heard()) == len(want) && len(atB.heard()) == len(want) && len(other.heard()) == 1
	})
	if !slices.Equal(atA.heard(), want) || !slices.Equal(atB.heard(), want) {
		t.Error("the words are not in their order")
	}
	if s := a.Stats(); s.Published != 2000 || s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
	if unused.Stats().Connected {
		t.Error("a bus that nobody uses is connected")
	}
	// What is said before the end is heard.
	a.Publish("x", []byte("farewell"))
	a.Close()
	redistest.Until(t, "the farewell is heard", func() bool { return atB.has("farewell") })
}

// While Redis is away, words are lost, and the causes are told; afterwards, words are
// heard again.
func TestRedisGoesAndComesBack(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "no")
	var mu sync.Mutex
	causes := map[string]bool{}
	b := open(t, "redis://"+server.Addr, func(cause error) {
		mu.Lock()
		defer mu.Unlock()
		if cause != nil {
			causes[cause.Error()] = true
		}
	})
	var own ear
	defer b.Listen("x", own.hear)()
	redistest.Until(t, "it is connected", func() bool { return b.Stats().Connected })
	server.Kill()
	redistest.Until(t, "it is not connected", func() bool { return !b.Stats().Connected })
	for range 2 * queued {
		b.Publish("x", []byte("lost"))
	}
	server.Restart()
	redistest.Until(t, "a word is heard again", func() bool { b.Publish("x", []byte("again")); return own.has("again") })
	mu.Lock()
	defer mu.Unlock()
	if len(causes) == 0 || b.Stats().Dropped < queued {
		t.Errorf("causes %v, %+v", causes, b.Stats())
	}
}

// The rights that are documented are enough, and those of a log alone are not.
func TestFewRightsAreEnough(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "no")
	server.CLI(append([]string{"ACL", "SETUSER", "sidestream", "on", ">secret", "resetchannels", "&sidestream:*", "-@all"}, strings.Fields(ACL)...)...)
	server.CLI("ACL", "SETUSER", "poor", "on", ">secret", "resetchannels", "-@all", "+ping")
	b := open(t, "redis://sidestream:secret@"+server.Addr, nil)
	var own ear
	defer b.Listen("x", own.hear)()
	redistest.Until(t, "a word is heard", func() bool { b.Publish("x", []byte("1")); return own.has("1") })
	b.Close()

	cause := make(chan error, 100)
	poor := open(t, "redis://poor:secret@"+server.Addr, func(err error) {
		select {
		case cause <- err:
		default:
		}
	})
	poor.Publish("x", nil)
	if err := <-cause; err == nil {
		t.Error("a user without rights is connected")
	}
}
