package access

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// from is a question from an address.
func from(address, token, channel string) Question {
	q := question(token, channel)
	q.Address, q.Client = netip.MustParseAddr(address), token
	return q
}

// flood puts distinct questions at a steady rate until the test ends. Who asks
// waits no longer than ten seconds, as clients do.
func flood(t *testing.T, g *Gate, perSecond int, q func(i int) Question) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				go func() {
					ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
					defer cancel()
					g.Check(ctx, q(i))
				}()
			}
		}
	}()
	t.Cleanup(func() { stop(); <-done })
}

// misbehaving answers by the name of the channel: fail... with a server error,
// hang... not at all, reset... by breaking the connection.
func misbehaving(b *backend, good func(q Question) Verdict) Asker {
	return func(ctx context.Context, q Question) Verdict {
		switch {
		case strings.HasPrefix(q.Channel, "fail"):
			return Verdict{Cause: Unavailable}
		case strings.HasPrefix(q.Channel, "reset"):
			return Verdict{Cause: Unreachable}
		case strings.HasPrefix(q.Channel, "hang"):
			<-ctx.Done()
			return Verdict{}
		}
		b.ask(ctx, q)
		return good(q)
	}
}

// Whatever fails for some is not the trouble of others: beside 50 failing, 50
// hanging and 50 broken questions a second, all from the same address as the
// good clients, these open at once and streams that are denied end in time.
func TestFailuresOfSomeShutOutNobody(t *testing.T) {
	for _, x := range []struct {
		name  string
		kinds []string
	}{
		{"failing", []string{"fail"}}, {"hanging", []string{"hang"}}, {"broken", []string{"reset"}},
		{"all", []string{"fail", "hang", "reset"}},
	} {
		for _, address := range []string{"192.0.2.1", "198.51.100.9"} {
			t.Run(x.name+" from "+address, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := &backend{delay: 5 * time.Millisecond}
					var deny atomic.Bool
					g := New(Config{Cadence: 2 * time.Second, Allowed: time.Second}, misbehaving(b, func(q Question) Verdict {
						if deny.Load() && q.Channel == "secret" {
							return denied()
						}
						return Verdict{Outcome: Allowed}
					}))
					t.Cleanup(g.Close)
					e := &ends{}
					for i := range 20 {
						open(t, g, from("192.0.2.1", fmt.Sprint("t", i), "secret"), e)
					}
					for _, kind := range x.kinds {
						flood(t, g, 50, func(i int) Question { return from(address, fmt.Sprint("m", i), fmt.Sprint(kind, i)) })
					}
					pass(10 * time.Second)
					var slowest time.Duration
					for i := range 100 {
						begun := time.Now()
						check(t, g, from("192.0.2.1", fmt.Sprint("good", i), fmt.Sprint(i)), Allowed, NoCause)
						slowest = max(slowest, time.Since(begun))
						pass(50 * time.Millisecond)
					}
					if slowest > time.Second {
						t.Errorf("a good client waited for %v", slowest)
					}
					deny.Store(true)
					pass(7 * time.Second)
					if n := len(e.told()); n != 20 {
						t.Errorf("%d of 20 denied streams ended in time", n)
					}
				})
			})
		}
	}
}

// Re-checks that hang do not keep those open that would be denied.
func TestHangingRechecksShutOutNoOthers(t *testing.T) {
	inGate(t, Config{Cadence: 10 * time.Second, Grace: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		e, hanging := &ends{}, &ends{}
		for i := range 200 {
			open(t, g, from("198.51.100.9", "m", fmt.Sprint("hang", i)), hanging)
		}
		open(t, g, from("192.0.2.1", "t", "1"), e)
		g.Configure(g.config, misbehaving(b, func(Question) Verdict { return denied() }))
		pass(15 * time.Second)
		if len(e.told()) != 1 {
			t.Error("the denied stream goes on")
		}
		if n := len(hanging.told()); n != 0 {
			t.Errorf("%d streams ended that nothing is known of", n)
		}
	})
}

// A backend that is slow for all is not made slower by giving up questions.
func TestSlowBackendIsBelieved(t *testing.T) {
	inGate(t, Config{MaxInFlight: 16}, func(t *testing.T, g *Gate, b *backend) {
		b.takes(5 * time.Millisecond)
		for i := range 100 {
			check(t, g, question("t", fmt.Sprint(i)), Allowed, NoCause)
		}
		b.takes(1500 * time.Millisecond)
		var answered, asked atomic.Int64
		for i := range 1000 { // 20 a second, for which there are 8 slots' worth
			go func() {
				asked.Add(1)
				if g.Check(t.Context(), question("slow", fmt.Sprint(i))).Outcome == Allowed {
					answered.Add(1)
				}
			}()
			pass(50 * time.Millisecond)
		}
		pass(10 * time.Second)
		if n := answered.Load(); n < 300 {
			t.Errorf("%d of %d were answered; the backend could have answered 400", n, asked.Load())
		}
	})
}

func TestOutageSpacesQuestionsOut(t *testing.T) {
	inGate(t, Config{}, func(t *testing.T, g *Gate, b *backend) {
		b.says(Verdict{Cause: Unreachable})
		channel := 0
		next := func() Question { channel++; return question("t", fmt.Sprint(channel)) }
		for range 100 {
			check(t, g, next(), Unknown, Unreachable)
		}
		wantAsked(t, b, 100) // for a second it may be chance
		pass(outageTime)
		for range 1000 {
			if v := check(t, g, next(), Unknown, Unreachable); v.RetryAfter <= 0 && b.count() == 0 {
				t.Fatal("no word on when to come back")
			}
			pass(time.Millisecond)
		}
		b.count()
		for range 1000 {
			check(t, g, next(), Unknown, Unreachable)
			pass(time.Millisecond)
		}
		if n := b.count(); n < 15 || n > 21 {
			t.Errorf("asked %d times in a second of an outage", n)
		}
		// Any answer ends it, also one that refuses.
		b.says(Verdict{})
		pass(outagePace)
		check(t, g, next(), Unknown, Unavailable)
		b.says(Verdict{Outcome: Allowed})
		for range 100 {
			check(t, g, next(), Allowed, NoCause)
		}
	})
}

// One question that fails again and again is no outage, whatever it does to the
// connection; nor are several, if others are answered.
func TestOneBrokenQuestionIsNoOutage(t *testing.T) {
	inGate(t, Config{}, func(t *testing.T, g *Gate, b *backend) {
		b.says(Verdict{Cause: Unreachable})
		for range 100 {
			check(t, g, question("t", "reset"), Unknown, Unreachable)
			pass(pause)
		}
		b.says(Verdict{Outcome: Allowed})
		for i := range 100 {
			check(t, g, question("t", fmt.Sprint(i)), Allowed, NoCause)
		}
	})
}

func TestAddressesTakeTurns(t *testing.T) {
	var queue turns[string]
	push := func(address, client, value string) *turn[string] {
		return queue.push(netip.MustParsePrefix(address), client, value)
	}
	for i := range 3 {
		push("192.0.2.1/32", "a", fmt.Sprint("a", i))
		push("192.0.2.1/32", "b", fmt.Sprint("b", i))
	}
	gone := push("192.0.2.2/32", "c", "gone")
	push("192.0.2.2/32", "c", "c0")
	push("192.0.2.3/32", "d", "d0")
	queue.remove(gone)
	var got []string
	for queue.length > 0 {
		got = append(got, queue.pop())
	}
	if want := "a0 c0 d0 b0 a1 b1 a2 b2"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if len(queue.byAddress) != 0 || queue.addresses.Len() != 0 {
		t.Error("something is left")
	}
}

// A full queue has room for who waits for less.
func TestFullQueueIsShared(t *testing.T) {
	inGate(t, Config{MaxInFlight: 4, MaxWaiting: 20}, func(t *testing.T, g *Gate, b *backend) {
		b.takes(100 * time.Millisecond)
		flooders := make(chan Verdict, 100)
		for i := range 100 {
			go func() { flooders <- g.Check(t.Context(), from("198.51.100.9", "m", fmt.Sprint(i))) }()
		}
		synctest.Wait()
		good := make(chan Verdict, 5)
		for i := range 5 {
			go func() { good <- g.Check(t.Context(), from(fmt.Sprint("192.0.2.", i), "t", fmt.Sprint("g", i))) }()
		}
		for range 5 {
			if v := <-good; v.Outcome != Allowed {
				t.Errorf("a client of another address got %v (%v)", v.Outcome, v.Cause)
			}
		}
		// And at the flooder's own address, another client.
		go func() { good <- g.Check(t.Context(), from("198.51.100.9", "t", "g")) }()
		if v := <-good; v.Outcome != Allowed {
			t.Errorf("another client of the address got %v (%v)", v.Outcome, v.Cause)
		}
		for range 100 {
			<-flooders
		}
	})
}

// Re-checks take turns as well: who has very many streams waits behind itself.
func TestManyStreamsOfOneDoNotDelayOthersRechecks(t *testing.T) {
	inGate(t, Config{Cadence: 10 * time.Second, MaxInFlight: 16}, func(t *testing.T, g *Gate, b *backend) {
		flooder, e := &ends{}, &ends{}
		for i := range 10_000 { // one token with 10,000 passwords
			q := question(fmt.Sprint("m:", i), "1")
			q.Address, q.Client = netip.MustParseAddr("192.0.2.1"), "m"
			open(t, g, q, flooder)
		}
		open(t, g, from("192.0.2.1", "t", "secret"), e)
		b.takes(20 * time.Millisecond) // 200 a second: a round of all takes 50 s
		pass(time.Second)
		b.now(func(q Question) Verdict {
			if q.Channel == "secret" {
				return denied()
			}
			return Verdict{Outcome: Allowed}
		})
		pass(14 * time.Second)
		if len(e.told()) != 1 {
			t.Error("the denied stream goes on")
		}
	})
}

// A client that asks for many channels is refused at the first that it may not
// have, or of which nothing is known; only where the others are served as well,
// all are asked about.
func TestFirstDenialEndsTheAsking(t *testing.T) {
	var channels []string
	for i := range 60 {
		channels = append(channels, fmt.Sprint(i))
	}
	for _, x := range []struct {
		name     string
		says     func(q Question) Verdict
		all      bool
		at, most int
	}{
		{"all are denied", func(Question) Verdict { return denied() }, true, 1, 1},
		{"all are unknown", func(Question) Verdict { return Verdict{} }, true, 1, 1},
		{"all but the first are denied", func(q Question) Verdict {
			if q.Channel == "0" {
				return user("ann")
			}
			return denied()
		}, true, 2, 1 + maxParallel},
		{"each is asked about", func(Question) Verdict { return denied() }, false, 60, 60},
		{"all are unknown to each", func(Question) Verdict { return Verdict{} }, false, 1, 1},
	} {
		t.Run(x.name, func(t *testing.T) {
			inGate(t, Config{}, func(t *testing.T, g *Gate, b *backend) {
				b.takes(10 * time.Millisecond)
				b.now(x.says)
				verdicts := g.CheckAll(t.Context(), question("t", ""), channels, x.all)
				if n := b.count(); n < x.at || n > x.most {
					t.Errorf("asked %d times", n)
				}
				if len(verdicts) != len(channels) {
					t.Errorf("%d verdicts", len(verdicts))
				}
			})
		})
	}
}

// Answers that do not come in time are no outage: when the backend is back,
// everybody is asked about at once.
func TestTimeoutsAreNoOutage(t *testing.T) {
	inGate(t, Config{}, func(t *testing.T, g *Gate, b *backend) {
		b.takes(time.Hour)
		for i := range 20 {
			go g.Check(t.Context(), question("t", fmt.Sprint("x", i)))
		}
		pass(10 * time.Second)
		b.takes(0)
		for i := range 20 {
			go g.Check(t.Context(), question("t", fmt.Sprint("y", i)))
		}
		synctest.Wait()
		wantAsked(t, b, 40)
	})
}
