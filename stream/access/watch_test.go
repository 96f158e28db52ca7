package access

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const cadence = time.Minute

func denied() Verdict { return Verdict{Outcome: Denied, Cause: Forbidden} }

func user(name string) Verdict { return Verdict{Outcome: Allowed, User: name} }

func TestDenialEndsStreams(t *testing.T) {
	inGate(t, Config{Cadence: cadence}, func(t *testing.T, g *Gate, b *backend) {
		e, others := &ends{}, &ends{}
		for range 10 {
			open(t, g, question("t", "1"), e)
		}
		open(t, g, question("t", "2"), others)
		pass(10*cadence + time.Second)
		if len(e.told()) != 0 {
			t.Fatalf("ended while allowed: %v", e.told())
		}
		if n := b.count(); n < 2+2*10 || n > 2+2*13 {
			t.Fatalf("asked %d times in ten cadences", n)
		}
		b.takes(2 * time.Second)
		b.now(func(q Question) Verdict {
			if q.Channel == "1" {
				return Verdict{Outcome: Denied, Cause: NotFound}
			}
			return Verdict{Outcome: Allowed}
		})
		pass(cadence + 5*time.Second)
		if got := e.told(); len(got) != 10 || got[0] != NotFound {
			t.Fatalf("told %v", got)
		}
		if len(others.told()) != 0 {
			t.Error("the other channel's stream was ended")
		}
		if s := g.Stats(); s.Watched != 1 || s.Watchers != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestStreamsShareQuestions(t *testing.T) {
	inGate(t, Config{Cadence: cadence}, func(t *testing.T, g *Gate, b *backend) {
		e := &ends{}
		var watchers []*Watcher
		for i := range 10_000 {
			watchers = append(watchers, open(t, g, question(fmt.Sprint(i%100), "1"), e))
		}
		wantAsked(t, b, 100)
		pass(cadence)
		wantAsked(t, b, 100)
		if s := g.Stats(); s.Watched != 100 || s.Watchers != 10_000 {
			t.Errorf("stats %+v", s)
		}
		rand.Shuffle(len(watchers), func(i, j int) { watchers[i], watchers[j] = watchers[j], watchers[i] })
		for _, w := range watchers {
			w.Release()
			w.Release()
		}
		if s := g.Stats(); s.Watched != 0 || s.Watchers != 0 || len(g.watches.byChannel) != 0 || len(g.watches.byUser) != 0 || len(g.watches.later) != 0 {
			t.Errorf("left: %+v", s)
		}
		pass(2 * cadence)
		wantAsked(t, b, 0)
		if len(e.told()) != 0 {
			t.Error("a released watcher was told something")
		}
	})
}

func TestChecksServeRechecks(t *testing.T) {
	inGate(t, Config{Cadence: cadence, Allowed: 20 * time.Second}, func(t *testing.T, g *Gate, b *backend) {
		e := &ends{}
		open(t, g, question("t", "1"), e)
		for range 60 { // streams come and go all the time
			pass(10 * time.Second)
			check(t, g, question("t", "1"), Allowed, NoCause)
		}
		if s := g.Stats(); s.Rechecks != 0 {
			t.Errorf("%d re-checks although fresh verdicts were there", s.Rechecks)
		}
		// And a denial that a newcomer is told ends those who run.
		b.says(denied())
		pass(20 * time.Second)
		check(t, g, question("t", "1"), Denied, Forbidden)
		synctest.Wait()
		if len(e.told()) != 1 {
			t.Error("the running stream goes on")
		}
	})
}

// A re-check is never answered from memory, however long that is kept.
func TestRechecksAskTheBackend(t *testing.T) {
	inGate(t, Config{Cadence: cadence, Allowed: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		e := &ends{}
		open(t, g, question("t", "1"), e)
		b.says(denied())
		pass(cadence)
		if len(e.told()) != 1 {
			t.Error("the stream goes on")
		}
		check(t, g, question("t", "1"), Denied, Forbidden)
	})
}

func TestCadenceCountsFromTheQuestion(t *testing.T) {
	inGate(t, Config{Cadence: cadence, Allowed: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		check(t, g, question("t", "1"), Allowed, NoCause)
		pass(59 * time.Second)
		e := &ends{}
		open(t, g, question("t", "1"), e)
		wantAsked(t, b, 1)
		b.says(denied())
		pass(time.Second) // a cadence after the question, not after the stream began
		if len(e.told()) != 1 {
			t.Error("the stream goes on")
		}
	})
}

func TestUnknownIsGraceThenTheEnd(t *testing.T) {
	for name, trouble := range map[string]func(b *backend){
		"failing": func(b *backend) { b.says(Verdict{}) },
		"hanging": func(b *backend) { b.takes(time.Hour) },
		"limited": func(b *backend) { b.says(Verdict{Cause: Limited}) },
	} {
		t.Run(name, func(t *testing.T) {
			inGate(t, Config{Cadence: cadence}, func(t *testing.T, g *Gate, b *backend) {
				e := &ends{}
				for i := range 1000 {
					open(t, g, question(fmt.Sprint(i), "1"), e)
				}
				trouble(b)
				pass(4*cadence - 10*time.Second)
				if got := e.told(); len(got) != 0 {
					t.Fatalf("%d ended within the grace", len(got))
				}
				pass(15 * time.Second)
				if got := e.told(); len(got) != 1000 || got[0] != GraceOver || got[999] != GraceOver {
					t.Fatalf("%d ended", len(got))
				}
			})
		})
	}
}

func TestReturningBackendIsNotStampeded(t *testing.T) {
	inGate(t, Config{Cadence: cadence, MaxInFlight: 16}, func(t *testing.T, g *Gate, b *backend) {
		e := &ends{}
		for i := range 2000 {
			open(t, g, question(fmt.Sprint(i), "1"), e)
		}
		b.says(Verdict{Cause: Unreachable})
		pass(2 * cadence)
		if n := b.count(); n > 2000+int(2*cadence/outagePace) {
			t.Errorf("asked %d times while down", n)
		}
		b.highest()
		b.takes(50 * time.Millisecond)
		b.now(nil)
		pass(cadence)
		if p := b.highest(); p > 4 {
			t.Errorf("%d re-checks in flight", p)
		}
		if n := b.count(); n < 2000 || n > 3000 {
			t.Errorf("asked %d times in the first cadence", n)
		}
		if len(e.told()) != 0 {
			t.Errorf("%d streams were ended", len(e.told()))
		}
		pass(5 * cadence)
		if s := g.Stats(); len(e.told()) != 0 || s.Behind > time.Second {
			t.Errorf("%d streams were ended; %+v", len(e.told()), s)
		}
	})
}

func TestClientsAndRechecksDoNotStarveEachOther(t *testing.T) {
	inGate(t, Config{Cadence: 10 * time.Second, MaxInFlight: 8, Timeout: 3 * time.Second}, func(t *testing.T, g *Gate, b *backend) {
		e := &ends{}
		open(t, g, question("t", "1"), e)
		b.takes(time.Second)
		b.now(func(q Question) Verdict {
			if q.Channel == "1" {
				return denied()
			}
			return Verdict{Outcome: Allowed}
		})
		stop := make(chan struct{})
		var n atomic.Int64
		for range 200 { // more clients than there are slots, all the time
			go func() {
				for {
					select {
					case <-stop:
						return
					default:
						if g.Check(t.Context(), question("t", fmt.Sprint("x", n.Add(1)))).Outcome != Allowed {
							time.Sleep(100 * time.Millisecond)
						}
					}
				}
			}()
		}
		pass(15 * time.Second)
		close(stop)
		if len(e.told()) != 1 {
			t.Error("the denied stream goes on")
		}
		pass(5 * time.Second)
	})
}

func TestIdentityMustNotChange(t *testing.T) {
	inGate(t, Config{Cadence: cadence}, func(t *testing.T, g *Gate, b *backend) {
		b.says(user("ann"))
		e := &ends{}
		open(t, g, question("t", "1"), e)
		b.says(Verdict{Outcome: Allowed}) // says nothing of the user: no change
		pass(cadence)
		if len(e.told()) != 0 {
			t.Fatal("ended without a change")
		}
		b.says(user("bob"))
		pass(cadence)
		if got := e.told(); len(got) != 1 || got[0] != IdentityChanged {
			t.Errorf("told %v", got)
		}
	})
}

// An answer that was on its way when something was revoked is not believed.
// A question that was put earlier and is answered later says nothing new.
// A slow answer from before a revocation does not delay the re-check.
func TestDeniedBetweenCheckAndWatch(t *testing.T) {
	inGate(t, Config{Cadence: time.Hour, Allowed: time.Second}, func(t *testing.T, g *Gate, b *backend) {
		v := check(t, g, question("t", "1"), Allowed, NoCause)
		b.says(denied())
		pass(time.Second)
		check(t, g, question("t", "1"), Denied, Forbidden)
		e := &ends{}
		g.Watch(question("t", "1"), v, e.on)
		pass(time.Second)
		if len(e.told()) != 1 {
			t.Error("the stream goes on")
		}
	})
}

func TestListLosesChannels(t *testing.T) {
	inGate(t, Config{Cadence: cadence}, func(t *testing.T, g *Gate, b *backend) {
		b.says(Verdict{Outcome: Allowed, User: "ann", Channels: []string{"1", "2"}})
		told := map[string]*ends{"1": {}, "2": {}}
		for channel, e := range told {
			q := question("t", channel)
			q.List = true
			for range 10 {
				open(t, g, q, e)
			}
		}
		wantAsked(t, b, 1)
		pass(cadence)
		wantAsked(t, b, 1)
		b.says(Verdict{Outcome: Allowed, User: "ann", Channels: []string{"2"}})
		g.Revoke("ann", "1")
		pass(time.Second)
		if got := told["1"].told(); len(got) != 10 || got[0] != Forbidden {
			t.Errorf("told %v", got)
		}
		if len(told["2"].told()) != 0 {
			t.Error("the other channel was ended")
		}
		wantAsked(t, b, 1)
		b.says(Verdict{Outcome: Denied, Cause: BadCredential})
		pass(cadence)
		if got := told["2"].told(); len(got) != 10 || got[0] != BadCredential {
			t.Errorf("told %v", got)
		}
	})
}

func TestReleaseFromOnEnd(t *testing.T) {
	inGate(t, Config{Cadence: cadence}, func(t *testing.T, g *Gate, b *backend) {
		q := question("t", "1")
		v := check(t, g, q, Allowed, NoCause)
		var w *Watcher
		calls := 0
		w = g.Watch(q, v, func(Cause) { calls++; w.Release() })
		b.says(denied())
		pass(cadence)
		if calls != 1 {
			t.Errorf("called %d times", calls)
		}
	})
}

// Who has been released is not told, even if the others are just being told.
func TestReleaseOfAnotherFromOnEnd(t *testing.T) {
	inGate(t, Config{Cadence: cadence}, func(t *testing.T, g *Gate, b *backend) {
		q := question("t", "1")
		v := check(t, g, q, Allowed, NoCause)
		var pair [2]*Watcher
		calls := 0
		for i := range pair {
			pair[i] = g.Watch(q, v, func(Cause) { calls++; pair[1-i].Release() })
		}
		b.says(denied())
		pass(cadence)
		if calls != 1 {
			t.Errorf("called %d times", calls)
		}
	})
}

// A re-check that fails by chance does not keep a stream open that is denied.
func TestFailedRecheckIsSoonRepeated(t *testing.T) {
	inGate(t, Config{Cadence: cadence}, func(t *testing.T, g *Gate, b *backend) {
		e := &ends{}
		open(t, g, question("t", "1"), e)
		failed := false
		b.now(func(Question) Verdict {
			if !failed {
				failed = true
				return Verdict{}
			}
			return denied()
		})
		pass(cadence + 5*time.Second)
		if len(e.told()) != 1 {
			t.Error("the stream goes on")
		}
	})
}

// Re-checks that go on failing are repeated more and more seldom.
func TestFailingRechecksBackOff(t *testing.T) {
	inGate(t, Config{Cadence: cadence, Grace: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		e := &ends{}
		open(t, g, question("t", "1"), e)
		b.says(Verdict{})
		pass(cadence)
		b.count()
		pass(5 * time.Minute)
		if n := b.count(); n < 18 || n > 30 {
			t.Errorf("asked %d times in five minutes", n)
		}
		b.says(Verdict{Cause: Limited, RetryAfter: 2 * time.Minute})
		pass(time.Minute)
		b.count()
		pass(10 * time.Minute)
		if n := b.count(); n < 4 || n > 6 {
			t.Errorf("asked %d times in ten minutes, although told to wait for two", n)
		}
	})
}
