package stream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/log"
)

// Pages of the list of streams have each stream once, whatever comes and goes beside
// it, and filters choose what they say.
func TestStreamsAreListedOnce(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	const many = 3*visitAtOnce + 17
	byUser := map[string]*Stream{}
	for i := range many {
		_, s := listen(t, h, opening{format: resumable, channels: []string{fmt.Sprint("c", i%7)}, client: &Client{
			Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 200)}), User: fmt.Sprint("u", i),
		}})
		byUser[fmt.Sprint("u", i)] = s
	}
	seen := map[string]int{}
	var after StreamID
	for page := 0; ; page++ {
		views, more, err := h.Streams(t.Context(), StreamFilter{}, after, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range views {
			seen[v.Client.User]++
			after = v.ID
			if id, err := ParseStreamID(v.ID.String()); err != nil || id != v.ID {
				t.Fatalf("the id %s is read as %v, %v", v.ID, id, err)
			}
		}
		if page == 2 { // one that was listed and one that was not
			byUser[views[0].Client.User].End(ShuttingDown)
		}
		if !more {
			break
		}
	}
	for user := range byUser {
		if seen[user] != 1 {
			t.Errorf("the stream of %s is listed %d times", user, seen[user])
		}
	}
	count := func(f StreamFilter) int {
		n, err := h.EndStreams(t.Context(), f, Kicked, true)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(StreamFilter{User: "u5"}); n != 1 {
		t.Errorf("%d streams of a user", n)
	}
	if n := count(StreamFilter{Address: netip.MustParsePrefix("192.0.2.0/31")}); n < 4 || n > 12 {
		t.Errorf("%d streams of a network", n)
	}
	if n := count(StreamFilter{Channel: "c1", Format: "nothing"}); n != 0 {
		t.Errorf("%d streams of no format", n)
	}
	before := count(StreamFilter{})
	if n, err := h.EndStreams(t.Context(), StreamFilter{Channel: "c3"}, Kicked, false); err != nil || n < many/7-1 {
		t.Errorf("ended %d: %v", n, err)
	} else if left := count(StreamFilter{}); left != before-n {
		t.Errorf("%d of %d are left after %d were ended", left, before, n)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	h.shards[0].working.Lock() // it has something else to do
	_, _, err := h.Streams(gone, StreamFilter{}, StreamID{}, 1<<20)
	h.shards[0].working.Unlock()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("whoever has gone is waited for: %v", err)
	}
}

func FuzzParseStreamID(f *testing.F) {
	f.Add("0-12-1")
	f.Add("-1-0-0")
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := ParseStreamID(text); err == nil && id.String() != text {
			t.Errorf("%q is read as %s", text, id)
		}
	})
}

// A list is made a few streams at a time: a delivery comes in between.
func TestListingLetsDeliveriesThrough(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	for i := range 4 * visitAtOnce {
		listen(t, h, opening{format: resumable, channels: []string{fmt.Sprint("c", i)}})
	}
	reader, _ := listen(t, h, opening{format: resumable, channels: []string{"live"}})
	turns, said := 0, sync.WaitGroup{}
	err := h.visit(t.Context(), StreamID{}, func(sh *shard, _ *Stream, id StreamID) bool {
		if id.slot%visitAtOnce == visitAtOnce-1 { // the last of a turn
			turns++
			text := fmt.Sprint("turn ", turns)
			said.Go(func() { say(t, h, "live", text) })
		}
		return true
	})
	if err != nil || turns < 3 {
		t.Fatalf("%d turns: %v", turns, err)
	}
	said.Wait()
	for range turns {
		reader.next()
	}
}
