package stream

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/memory"
)

func bodies(t Taken) (b []string) {
	for _, m := range t.Missing {
		b = append(b, fmt.Sprintf("%s GAP %s", m.Channel, m.Reason))
	}
	for _, e := range t.Entries {
		b = append(b, e.Channel.Text+" "+e.Body)
	}
	return b
}

// take is a Take that has to find something.
func take(t *testing.T, r *Reader, limit int, want ...string) Taken {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	taken, err := r.Take(ctx, limit)
	if err != nil || !slices.Equal(bodies(taken), want) {
		t.Fatalf("took %q, %v; want %q", bodies(taken), err, want)
	}
	return taken
}

func TestReader(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	ticket, err := h.Admit(Candidate{})
	if err != nil {
		t.Fatal(err)
	}
	r := h.NewReader(ticket)
	if err := ticket.Grant("a"); err != nil {
		t.Fatal(err)
	}
	r.Join("a", resolve(t, h, "a", From{}))
	r.Join("a", resolve(t, h, "a", From{}))
	say(t, h, "a", "1", "2", "3")
	take(t, r, 2, "a 1", "a 2")
	first := take(t, r, 2, "a 1", "a 2") // what is not acknowledged is given again
	if !first.More || first.At.Seq != 2 {
		t.Errorf("%+v", first)
	}
	r.Done(first)
	r.Done(take(t, r, 2, "a 3"))
	r.Done(first) // too late: nothing
	waiting := make(chan Taken)
	for range 2 { // two requests at a time
		go func() {
			taken, err := r.Take(t.Context(), 10)
			if err != nil {
				t.Error(err)
			}
			waiting <- taken
		}()
	}
	say(t, h, "b", "of no interest")
	say(t, h, "a", "4")
	for range 2 {
		if got := bodies(<-waiting); !slices.Equal(got, []string{"a 4"}) {
			t.Errorf("a Take that waited got %q", got)
		}
	}
	r.Leave("a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if taken, err := r.Take(ctx, 10); err != nil || len(taken.Entries) > 0 {
		t.Errorf("after leaving: %+v, %v", taken, err)
	}
	closed := make(chan error)
	go func() {
		_, err := r.Take(t.Context(), 10)
		closed <- err
	}()
	r.Close()
	r.Close()
	if err := <-closed; !errors.Is(err, event.ErrClosed) {
		t.Errorf("a closed reader: %v", err)
	}
	if a := h.admissions; a.streams != 0 || len(a.channel) != 0 {
		t.Errorf("left behind: %+v", a)
	}
	h.sweep()
	if n := h.idle.Len(); n != len(h.channels) {
		t.Errorf("%d of %d channels are idle", n, len(h.channels))
	}
}

// What a reader missed while it was away, it is told.
func TestReaderIsToldWhatIsMissing(t *testing.T) {
	h := newHub(t, Config{WindowEvents: 2}, log.Retention{Events: 3})
	r := h.NewReader(nil)
	defer r.Close()
	r.Join("a", resolve(t, h, "a", From{}))
	for i := range 9 {
		say(t, h, "a", fmt.Sprint(i))
	}
	r.Done(take(t, r, 10, "a GAP trimmed", "a 6", "a 7", "a 8"))
	say(t, h, "a", "9")
	taken := take(t, r, 10, "a 9")
	h.follower = &follower{hub: h} // as if the log were shared, and began anew
	h.reset(event.Cursor{Epoch: event.NewEpoch(), Seq: 5}, event.EpochChanged)
	r.Done(taken)
	r.Done(take(t, r, 10, " GAP epoch-changed"))
	h.follower = nil
	pattern, _ := ParsePattern("/x/*")
	r.JoinPattern(pattern)
	h.mu.Lock()
	for i := range 5 {
		h.patterns["/x/*"].append(&item{Entry: event.Entry{Seq: uint64(6 + i), Event: event.Event{Channel: event.String("/x/1"), Body: fmt.Sprint(i)}}}, h.config())
	}
	head := *h.head.Load()
	head.Seq = 10
	h.head.Store(&head)
	h.mu.Unlock()
	r.Done(take(t, r, 10, "/x/* GAP slow-client", "/x/1 3", "/x/1 4"))
}

// Readers of random habits get exactly what was said while they listened, in
// order, and what they acknowledged once.
func TestReaderOfRandomHabits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		names := []string{"/a/1", "/a/2", "/a/b/1", "/c"}
		wild := []string{"/a/*", "/a/**", "/a/b/*"}
		h, err := Open("test", memory.New(log.Retention{}, time.Now), Config{Drain: time.Millisecond, WindowEvents: rapid.IntRange(1, 10).Draw(rt, "window")})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close(context.Background())
		r := h.NewReader(nil)
		defer r.Close()
		joined, in := map[string]bool{}, map[string]bool{}
		said := 0
		var want []string
		rt.Repeat(map[string]func(*rapid.T){
			"say": func(rt *rapid.T) {
				channel := rapid.SampledFrom(names).Draw(rt, "channel")
				said++
				say(t, h, channel, fmt.Sprint(said))
				hears := joined[channel]
				for p := range in {
					pattern, _ := ParsePattern(p)
					hears = hears || pattern.Matches(channel)
				}
				if hears {
					want = append(want, fmt.Sprintf("%s %d", channel, said))
				}
			},
			"join": func(rt *rapid.T) {
				channel := rapid.SampledFrom(names).Draw(rt, "channel")
				r.Join(channel, resolve(t, h, channel, From{}))
				joined[channel] = true
			},
			"joinPattern": func(rt *rapid.T) {
				if len(want) > 0 {
					return // what a pattern has in memory is less than what waits here
				}
				p, _ := ParsePattern(rapid.SampledFrom(wild).Draw(rt, "pattern"))
				r.JoinPattern(p)
				in[p.String()] = true
			},
			"leave": func(rt *rapid.T) {
				if len(want) > 0 {
					return
				}
				name := rapid.SampledFrom(append(names, wild...)).Draw(rt, "name")
				r.Leave(name)
				delete(joined, name)
				delete(in, name)
			},
			"take": func(rt *rapid.T) {
				ctx, cancel := context.WithCancel(context.Background())
				if cancel(); len(want) > 0 {
					ctx = context.Background()
				}
				taken, err := r.Take(ctx, rapid.IntRange(1, 5).Draw(rt, "limit"))
				if err != nil {
					rt.Fatal(err)
				}
				got := bodies(taken)
				if slices.ContainsFunc(taken.Missing, func(m event.Missing) bool { return m.Reason == event.SlowClient && in[m.Channel] }) {
					rt.Skip("a pattern was overtaken, and said so")
				}
				if len(got) > len(want) || len(got) == 0 && len(want) > 0 || !slices.Equal(got, want[:len(got)]) {
					rt.Fatalf("took %q, want what %q begins with", got, want)
				}
				if rapid.Bool().Draw(rt, "acknowledged") {
					r.Done(taken)
					want = want[len(got):]
				}
			},
		})
	})
}

// Nothing is lost between a Take that finds nothing and the message that comes in
// that moment.
func TestReaderMissesNoWake(t *testing.T) {
	h := newHub(t, Config{}, log.Retention{})
	const messages = 2000
	var readers sync.WaitGroup
	for range 4 {
		r := h.NewReader(nil)
		r.Join("a", resolve(t, h, "a", From{}))
		readers.Go(func() {
			defer r.Close()
			for n := 0; n < messages; {
				taken, err := r.Take(t.Context(), 100)
				if err != nil {
					t.Error(err)
					return
				}
				for _, e := range taken.Entries {
					if n++; e.Body != fmt.Sprint(n) {
						t.Errorf("got %s instead of %d", e.Body, n)
						return
					}
				}
				r.Done(taken)
			}
		})
	}
	for i := range messages {
		say(t, h, "a", fmt.Sprint(i+1))
		for range i % 7 {
			runtime.Gosched()
		}
	}
	readers.Wait()
}
