package access

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestOneFlightForAll(t *testing.T) {
	inGate(t, Config{}, func(t *testing.T, g *Gate, b *backend) {
		b.takes(time.Second)
		ctx, leave := context.WithCancel(t.Context())
		first := make(chan Verdict, 1)
		go func() { first <- g.Check(ctx, question("t", "1")) }()
		synctest.Wait()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if v := g.Check(t.Context(), question("t", "1")); v.Outcome != Allowed {
					t.Errorf("a waiter got %v", v.Outcome)
				}
			})
		}
		synctest.Wait()
		leave() // the one whose question it is goes away
		if v := <-first; v.Outcome != Unknown {
			t.Errorf("who left got %v", v.Outcome)
		}
		wg.Wait()
		wantAsked(t, b, 1)
		if s := g.Stats(); s.Shared != 100 || s.Questions != 1 || s.InFlight != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestLeaversStillTeach(t *testing.T) {
	inGate(t, Config{}, func(t *testing.T, g *Gate, b *backend) {
		b.takes(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if v := g.Check(ctx, question("t", "1")); v.Outcome != Unknown {
			t.Fatalf("got %v", v.Outcome)
		}
		if v := g.Check(ctx, question("t", "2")); v.Outcome != Unknown {
			t.Fatalf("got %v", v.Outcome)
		}
		wantAsked(t, b, 1) // who had left before asking, asked nothing
		pass(time.Second)
		check(t, g, question("t", "1"), Allowed, NoCause)
		wantAsked(t, b, 0)
	})
}

func TestBoundsWhatIsAsked(t *testing.T) {
	inGate(t, Config{MaxInFlight: 8, MaxWaiting: 10}, func(t *testing.T, g *Gate, b *backend) {
		b.takes(time.Second)
		outcomes := make(chan Verdict, 100)
		for i := range 100 {
			go func() { outcomes <- g.Check(t.Context(), question("t", fmt.Sprint(i))) }()
		}
		synctest.Wait()
		if s := g.Stats(); s.InFlight != 6 || s.Waiting != 10 || s.Refused != 84 {
			t.Errorf("stats %+v", s)
		}
		count := map[Cause]int{}
		for range 100 {
			v := <-outcomes
			count[v.Cause]++
			if v.Cause == Overloaded && v.RetryAfter <= 0 {
				t.Error("no word on when to come back")
			}
		}
		if count[NoCause] != 16 || count[Overloaded] != 84 || len(count) != 2 {
			t.Errorf("got %v", count)
		}
		if p := b.highest(); p != 6 {
			t.Errorf("%d in flight", p)
		}
	})
}

func TestWaitingEnds(t *testing.T) {
	inGate(t, Config{MaxInFlight: 4, Timeout: 3 * time.Second}, func(t *testing.T, g *Gate, b *backend) {
		b.takes(2900 * time.Millisecond)
		causes := make(chan Cause, 12)
		for i := range 12 {
			go func() { causes <- g.Check(t.Context(), question("t", fmt.Sprint(i))).Cause }()
			synctest.Wait()
		}
		ctx, leave := context.WithCancel(t.Context())
		go func() { causes <- g.Check(ctx, question("t", "left")).Cause }()
		synctest.Wait()
		leave()
		if c := <-causes; c != Unavailable {
			t.Errorf("who left got %v", c)
		}
		count := map[Cause]int{}
		for range 12 {
			count[<-causes]++
		}
		if count[NoCause] != 6 || count[Overloaded] != 6 {
			t.Errorf("got %v", count)
		}
		wantAsked(t, b, 6)
	})
}

func TestTimeoutAndPanicAreUnknown(t *testing.T) {
	inGate(t, Config{Timeout: 3 * time.Second}, func(t *testing.T, g *Gate, b *backend) {
		start := time.Now()
		b.takes(time.Hour)
		check(t, g, question("t", "1"), Unknown, Unavailable)
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("waited %v", d)
		}
		b.takes(0)
		b.now(func(Question) Verdict { panic("abort") })
		check(t, g, question("t", "2"), Unknown, Unavailable)
		if s := g.Stats(); s.Failures != 2 || s.Panics != 1 {
			t.Errorf("stats %+v", s)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		g := New(Config{}, nil)
		defer g.Close()
		check(t, g, question("t", "1"), Unknown, Unavailable)
	})
}

func TestOneBadChannelShutsOutNobody(t *testing.T) {
	inGate(t, Config{}, func(t *testing.T, g *Gate, b *backend) {
		b.now(func(q Question) Verdict {
			if q.Channel == "bad" {
				return Verdict{}
			}
			return Verdict{Outcome: Allowed}
		})
		for i := range 50 {
			check(t, g, question("t", "bad"), Unknown, Unavailable)
			if i%10 == 0 {
				check(t, g, question("t", fmt.Sprint(i)), Allowed, NoCause)
			}
		}
		wantAsked(t, b, 6) // the bad one once: it is held off
	})
}

func TestKeepsAllowedThroughFailure(t *testing.T) {
	inGate(t, Config{}, func(t *testing.T, g *Gate, b *backend) {
		e := &ends{}
		w := open(t, g, question("t", "1"), e)
		defer w.Release()
		b.says(Verdict{})
		g.mu.Lock()
		g.hasten(w.watch)
		g.mu.Unlock()
		g.nudge()
		pass(10 * time.Second)
		if b.count() < 2 {
			t.Fatal("no re-check")
		}
		check(t, g, question("t", "1"), Allowed, NoCause)
	})
}
