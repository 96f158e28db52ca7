package access

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func newGuesses(limit int, window time.Duration, maxAddresses int) *guesses {
	return &guesses{limit: limit, window: window, maxAddresses: maxAddresses}
}

func sourceOf(address string) source {
	return source{address: neighbourhood(netip.MustParseAddr(address))}
}

func TestGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuesses(20, time.Minute, 1000)
		add := func(address string, i int) { g.add(sourceOf(address), digest{byte(i), byte(i >> 8)}, time.Now()) }
		blocked := func(address string, want bool) {
			t.Helper()
			if _, got := g.blocked(sourceOf(address), time.Now()); got != want {
				t.Errorf("%s blocked: %v", address, got)
			}
		}
		for range 100 {
			add("192.0.2.1", 0) // one client that insists
		}
		blocked("192.0.2.1", false)
		time.Sleep(10 * time.Second)
		for i := range 19 {
			blocked("192.0.2.1", false)
			add("192.0.2.1", 1+i)
		}
		blocked("192.0.2.1", true)
		blocked("::ffff:192.0.2.1", true)
		blocked("192.0.2.2", false)
		if d, _ := g.blocked(sourceOf("192.0.2.1"), time.Now()); d != 50*time.Second {
			t.Errorf("has to wait %v", d)
		}
		add("192.0.2.1", 99) // goes on: makes it neither longer nor bigger
		time.Sleep(50 * time.Second)
		blocked("192.0.2.1", false)
		add("192.0.2.1", 100)
		blocked("192.0.2.1", true)
		time.Sleep(time.Minute)
		blocked("192.0.2.1", false)
		if len(g.bySource) != 0 {
			t.Error("an address that is forgiven is remembered")
		}
		for i := range 20 { // all from one /64
			add(fmt.Sprintf("2001:db8:0:1:%x::1", i), i)
		}
		blocked("2001:db8:0:1:ffff::9", true)
		blocked("2001:db8:0:1::9%eth0", true)
		blocked("2001:db8:0:2::1", false)
		for i := range 100 { // no address at all
			g.add(source{}, digest{byte(i)}, time.Now())
		}
		if _, got := g.blocked(source{}, time.Now()); got {
			t.Error("nobody is blocked")
		}
	})
}

func TestGuessersAreBounded(t *testing.T) {
	g := newGuesses(2, time.Hour, 100)
	at := func(i int) source {
		return source{address: neighbourhood(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))}
	}
	for i := range 1000 {
		for j := range 5 {
			g.add(at(i), digest{byte(j)}, time.Now())
		}
		g.add(at(0), digest{byte(i)}, time.Now()) // is seen all the time
	}
	if len(g.bySource) != 100 || g.recent.Len() != 100 {
		t.Errorf("%d addresses remembered", len(g.bySource))
	}
	for _, x := range []struct {
		i    int
		want bool
	}{{0, true}, {999, true}, {500, false}} {
		if _, got := g.blocked(at(x.i), time.Now()); got != x.want {
			t.Errorf("address %d blocked: %v", x.i, got)
		}
	}
}

// A bad credential counts when the backend has answered, whether or not whoever
// asked has waited for it: of very many from one address few reach the backend.
func TestHangingUpHidesNoGuess(t *testing.T) {
	inGate(t, Config{}, func(t *testing.T, g *Gate, b *backend) {
		b.takes(20 * time.Millisecond)
		b.says(Verdict{Outcome: Denied, Cause: BadCredential})
		for i := range 1500 {
			go func() {
				ctx, hangUp := context.WithTimeout(t.Context(), 5*time.Millisecond)
				defer hangUp()
				g.Check(ctx, from("198.51.100.9", fmt.Sprint("guess", i), "1"))
			}()
			pass(2 * time.Millisecond)
		}
		if n := b.count(); n < 20 || n > 20+32 {
			t.Errorf("%d guesses reached the backend", n)
		}
		v := check(t, g, from("198.51.100.9", "one more", "1"), Unknown, Blocked)
		if v.RetryAfter <= 0 || v.RetryAfter > time.Minute {
			t.Errorf("has to wait %v", v.RetryAfter)
		}
		if g.Stats().Blocked == 0 {
			t.Error("it is not counted")
		}
		check(t, g, from("192.0.2.1", "one more", "1"), Denied, BadCredential)
		time.Sleep(time.Minute)
		check(t, g, from("198.51.100.9", "one more", "1"), Denied, BadCredential)
	})
}

// What waits for its turn when the address is blocked is not asked any more.
func TestGuessesThatWaitAreNotAsked(t *testing.T) {
	inGate(t, Config{}, func(t *testing.T, g *Gate, b *backend) {
		b.takes(20 * time.Millisecond)
		b.says(Verdict{Outcome: Denied, Cause: BadCredential})
		causes := make(chan Cause, 200)
		for i := range 200 {
			go func() { causes <- g.Check(t.Context(), from("198.51.100.9", fmt.Sprint("guess", i), "1")).Cause }()
		}
		count := map[Cause]int{}
		for range 200 {
			count[<-causes]++
		}
		if n := b.count(); n > 20+32 || count[Blocked] != 200-n || count[BadCredential] != n {
			t.Errorf("%d asked, told %v", n, count)
		}
	})
}

// Whoever has a good credential is not shut out by the bad ones of others at
// the same address, also when the verdict itself is no longer remembered.
func TestGoodCredentialsAreNotBlocked(t *testing.T) {
	inGate(t, Config{Allowed: time.Second}, func(t *testing.T, g *Gate, b *backend) {
		b.now(func(q Question) Verdict {
			if token, _ := q.Credential.Value("token"); token != "good" {
				return Verdict{Outcome: Denied, Cause: BadCredential}
			}
			return user("ann")
		})
		check(t, g, from("192.0.2.1", "good", "1"), Allowed, NoCause)
		guess := func() {
			for i := range 100 {
				g.Check(t.Context(), from("192.0.2.1", fmt.Sprint("guess", i), "1"))
			}
			check(t, g, from("192.0.2.1", "unheard of", "1"), Unknown, Blocked)
		}
		guess()
		for range 20 {
			check(t, g, from("192.0.2.1", "good", "1"), Allowed, NoCause)
			check(t, g, from("192.0.2.1", "good", "2"), Allowed, NoCause)
			pass(2 * time.Minute)
			guess()
		}
		b.says(Verdict{Outcome: Denied, Cause: BadCredential}) // it is taken away
		check(t, g, from("192.0.2.1", "good", "1"), Denied, BadCredential)
		pass(10 * time.Second)
		check(t, g, from("192.0.2.1", "good", "1"), Unknown, Blocked)
	})
}

// Pages of other sites can make a browser send what they like: that blocks
// nobody who sits there. It is bounded all the same.
func TestForeignPagesBlockNobody(t *testing.T) {
	inGate(t, Config{}, func(t *testing.T, g *Gate, b *backend) {
		b.says(Verdict{Outcome: Denied, Cause: BadCredential})
		for i := range 1000 {
			q := from("192.0.2.1", fmt.Sprint("guess", i), "1")
			q.Foreign = true
			g.Check(t.Context(), q)
		}
		wantAsked(t, b, 20*foreignAllowance)
		b.says(user("ann"))
		check(t, g, from("192.0.2.1", "never seen", "1"), Allowed, NoCause)
	})
}

// What was refused without asking the backend is nobody's guess.
func TestUnaskedIsNoGuess(t *testing.T) {
	inGate(t, Config{}, func(t *testing.T, g *Gate, b *backend) {
		b.says(Verdict{Outcome: Denied, Cause: BadCredential, Unasked: true})
		for i := range 100 {
			for range 2 {
				check(t, g, from("192.0.2.1", fmt.Sprint(i), "1"), Denied, BadCredential)
			}
		}
	})
}

// Nobody guesses without a credential, and re-checks are nobody's guess.
func TestNothingIsNoGuess(t *testing.T) {
	inGate(t, Config{Cadence: time.Second, Allowed: time.Second, BadCredential: time.Millisecond}, func(t *testing.T, g *Gate, b *backend) {
		e := &ends{}
		for i := range 100 {
			open(t, g, from("192.0.2.1", fmt.Sprint("t", i), "1"), e)
		}
		b.says(Verdict{Outcome: Denied, Cause: BadCredential})
		pass(2 * time.Second)
		if len(e.told()) != 100 {
			t.Fatalf("%d streams ended", len(e.told()))
		}
		for i := range 100 {
			q := Question{Channel: fmt.Sprint(i), Address: netip.MustParseAddr("192.0.2.1")}
			check(t, g, q, Denied, BadCredential)
		}
		b.says(user("ann"))
		check(t, g, from("192.0.2.1", "new", "1"), Allowed, NoCause)
	})
}
