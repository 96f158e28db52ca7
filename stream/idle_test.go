package stream

import (
	"fmt"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/log"
)

// Names that strangers make up cost nothing for long: what is only looked at is
// not kept, and of what nobody listens to there is a bound.
func TestInventedNamesHaveABound(t *testing.T) {
	h := newHub(t, Config{IdleChannels: 100}, log.Retention{})
	interest := map[string]bool{}
	most := 0
	h.OnInterest(func(name string, on bool) []<-chan struct{} {
		if on {
			interest[name] = true
		} else {
			delete(interest, name)
		}
		most = max(most, len(interest))
		return nil
	})
	l, s := listen(t, h, opening{channels: []string{"lobby"}})
	for i := range 10_000 {
		if _, err := h.Preview([]string{fmt.Sprint("seen ", i)}, From{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.Stats().Channels; n != 1 {
		t.Errorf("%d channels are kept for those who only look", n)
	}
	for i := range 10_000 {
		resolve(t, h, fmt.Sprint(i), From{})
	}
	if n := h.Stats().Channels; n > 101 || most > 102 {
		t.Errorf("%d channels are kept, and sources were told of %d at a time", n, most)
	}
	say(t, h, "lobby", "1")
	l.expect("lobby 1")
	if s.subs[0].ch != h.channels["lobby"] {
		t.Error("a channel with a listener was forgotten")
	}
	// Whoever comes back to a channel that was forgotten misses nothing.
	start := resolve(t, h, "again", From{})
	for i := range 1000 {
		resolve(t, h, fmt.Sprint(i), From{})
	}
	say(t, h, "again", "1")
	late, _ := listen(t, h, opening{channels: []string{"again"}, start: &start})
	late.expect("again 1")
}
