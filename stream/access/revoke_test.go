package access

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRevoke(t *testing.T) {
	type who struct{ token, channel string }
	all := []who{{"ann", "1"}, {"ann", "2"}, {"bob", "1"}, {"bob", "2"}, {"", "1"}}
	for _, x := range []struct {
		user, channel string
		asked         []who
	}{
		{"ann", "1", []who{{"ann", "1"}, {"", "1"}}},
		{"ann", "", []who{{"ann", "1"}, {"ann", "2"}, {"", "1"}}},
		{"", "1", []who{{"ann", "1"}, {"bob", "1"}, {"", "1"}}},
		{"", "", all},
		{"eve", "2", nil},
		{"eve", "", []who{{"", "1"}}},
		{"", "9", nil},
	} {
		t.Run(x.user+" in "+x.channel, func(t *testing.T) {
			inGate(t, Config{Cadence: time.Hour, Allowed: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
				token := func(q Question) string { v, _ := q.Credential.Value("token"); return v }
				b.now(func(q Question) Verdict { return user(token(q)) })
				e := &ends{}
				for _, w := range all {
					open(t, g, question(w.token, w.channel), e)
				}
				b.count()
				g.Revoke(x.user, x.channel) // a forged one
				pass(0)
				var asked []who
				b.mu.Lock()
				for _, q := range b.asked {
					asked = append(asked, who{token(q), q.Channel})
				}
				b.mu.Unlock()
				slices.SortFunc(asked, func(a, b who) int { return slices.Index(all, a) - slices.Index(all, b) })
				if !slices.Equal(asked, x.asked) {
					t.Errorf("asked %v, want %v", asked, x.asked)
				}
				if len(e.told()) != 0 {
					t.Error("the revocation denied by itself")
				}
				// Then a true one.
				b.says(denied())
				left := g.Revoke(x.user, x.channel).Wait(t.Context())
				pass(0) // for the ends to be told
				if left != 0 {
					t.Errorf("%d questions are open", left)
				}
				if len(e.told()) != len(x.asked) {
					t.Errorf("%d streams ended, want %d", len(e.told()), len(x.asked))
				}
			})
		})
	}
}

func TestRevokedIsNotRemembered(t *testing.T) {
	inGate(t, Config{}, func(t *testing.T, g *Gate, b *backend) {
		b.says(user("ann"))
		check(t, g, question("t", "1"), Allowed, NoCause)
		check(t, g, question("t", "2"), Allowed, NoCause)
		g.Revoke("ann", "1")
		b.says(denied())
		check(t, g, question("t", "1"), Denied, Forbidden)
		check(t, g, question("t", "2"), Allowed, NoCause)
		wantAsked(t, b, 3)
		g.Revoke("ann", "")
		check(t, g, question("t", "2"), Denied, Forbidden)
	})
}

func TestRevokedWhileAsking(t *testing.T) {
	inGate(t, Config{Cadence: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		b.says(user("ann"))
		e := &ends{}
		open(t, g, question("t", "w"), e)
		var late atomic.Bool
		b.takes(time.Second)
		b.now(func(q Question) Verdict {
			if late.Load() {
				return denied()
			}
			return user("ann")
		})
		// What the backend says is settled at the end of its delay, so a first
		// question that began before the revocation ends before the change.
		old := make(chan Verdict, 1)
		go func() { old <- g.Check(t.Context(), question("t", "1")) }()
		g.Revoke("ann", "w")
		pass(500 * time.Millisecond)
		g.Revoke("ann", "")
		newer := make(chan Verdict, 1)
		go func() { newer <- g.Check(t.Context(), question("t", "1")) }()
		pass(500 * time.Millisecond)
		if v := <-old; v.Outcome != Allowed {
			t.Errorf("who asked before got %v", v.Outcome)
		}
		late.Store(true)
		if v := <-newer; v.Outcome != Denied {
			t.Errorf("who asked after got %v", v.Outcome)
		}
		check(t, g, question("t", "1"), Denied, Forbidden)
		pass(2 * time.Second)
		if len(e.told()) != 1 {
			t.Error("the stream goes on")
		}
	})
}

func TestLateAnswersEndNothing(t *testing.T) {
	inGate(t, Config{Cadence: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		e := &ends{}
		v := check(t, g, question("t", "1"), Allowed, NoCause)
		g.Watch(question("t", "1"), v, e.on)
		pass(time.Minute)
		b.takes(2 * time.Second)
		old := make(chan Verdict, 1)
		go func() { old <- g.Check(t.Context(), question("t", "1")) }()
		synctest.Wait()
		b.takes(0)
		g.Revoke("", "1")
		pass(time.Second) // asked again, and allowed
		b.says(denied())  // which the first question is told
		if v := <-old; v.Outcome != Denied {
			t.Errorf("got %v", v.Outcome)
		}
		synctest.Wait()
		if len(e.told()) != 0 {
			t.Error("ended by an old answer")
		}
		check(t, g, question("t", "1"), Allowed, NoCause)
	})
}

func TestRevocationWaitsForNoOldAnswer(t *testing.T) {
	inGate(t, Config{Cadence: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		e := &ends{}
		open(t, g, question("t", "1"), e)
		pass(time.Minute)
		b.takes(2900 * time.Millisecond)
		go g.Check(t.Context(), question("t", "1"))
		synctest.Wait()
		b.takes(0)
		b.says(denied())
		g.Revoke("", "1")
		pass(time.Second)
		if len(e.told()) != 1 {
			t.Error("the stream goes on")
		}
	})
}

func TestRevokedBetweenCheckAndWatch(t *testing.T) {
	inGate(t, Config{Cadence: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		b.says(user("ann"))
		v := check(t, g, question("t", "1"), Allowed, NoCause)
		b.says(denied())
		g.Revoke("ann", "1")
		e := &ends{}
		g.Watch(question("t", "1"), v, e.on)
		pass(time.Second)
		if len(e.told()) != 1 {
			t.Error("the stream goes on")
		}
	})
}

func TestRevocationStormIsNoQuestionStorm(t *testing.T) {
	inGate(t, Config{Cadence: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		b.says(user("ann"))
		e := &ends{}
		open(t, g, question("t", "1"), e)
		b.count()
		for range 1000 {
			g.Revoke("ann", "1")
			pass(10 * time.Millisecond)
		}
		if n := b.count(); n < 15 || n > 22 {
			t.Errorf("asked %d times in ten seconds", n)
		}
		if len(e.told()) != 0 {
			t.Error("ended")
		}
		for i := range 3 * maxRevocations {
			g.Revoke(fmt.Sprint(i), "1")
		}
		if n := len(g.revoked.latest); n > maxRevocations {
			t.Errorf("%d revocations remembered", n)
		}
	})
}

func TestRevokeKeepsTryingThroughFailure(t *testing.T) {
	inGate(t, Config{Cadence: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		b.says(user("ann"))
		e := &ends{}
		open(t, g, question("t", "1"), e)
		b.says(Verdict{})
		g.Revoke("ann", "1")
		pass(10 * time.Second)
		b.says(denied())
		pass(3 * time.Second)
		if len(e.told()) != 1 {
			t.Error("the stream goes on")
		}
	})
}

// An answer that names no user may be about anybody, until another answer to the
// same credential says whose it is.
func TestWhoeverMayBeTheUserIsAskedAgain(t *testing.T) {
	inGate(t, Config{Cadence: time.Hour, Allowed: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		nameless := func(q Question) Verdict {
			if token, _ := q.Credential.Value("token"); q.Channel == "" {
				return user(token)
			}
			return Verdict{Outcome: Allowed}
		}
		b.now(nameless)
		e := &ends{}
		check(t, g, question("ann", ""), Allowed, NoCause) // who is it?
		open(t, g, question("ann", "1"), e)
		open(t, g, question("bob", "1"), e)
		b.count()
		if n := g.Revoke("eve", "").Questions(); n != 1 {
			t.Errorf("%d questions about eve; only bob's stream may be hers", n)
		}
		pass(time.Second)
		wantAsked(t, b, 1)
		b.now(func(q Question) Verdict {
			if q.Channel == "" {
				return nameless(q)
			}
			return denied()
		})
		left := g.Revoke("ann", "").Wait(t.Context())
		pass(0) // for the ends to be told
		if left != 0 || len(e.told()) != 2 {
			t.Errorf("%d questions are open, %d streams ended", left, len(e.told()))
		}
		check(t, g, question("ann", "1"), Denied, Forbidden)
		check(t, g, question("carol", "1"), Denied, Forbidden)
	})
}

// What is remembered of an answer without a user counts no more when any user's
// access was revoked.
func TestNamelessVerdictsAreForgottenByARevocation(t *testing.T) {
	inGate(t, Config{Cadence: time.Hour, Allowed: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		check(t, g, question("t", "1"), Allowed, NoCause)
		b.says(denied())
		g.Revoke("ann", "")
		check(t, g, question("t", "1"), Denied, Forbidden)
	})
}

func TestRevocationSaysWhatIsLeft(t *testing.T) {
	inGate(t, Config{Cadence: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		b.says(user("ann"))
		e := &ends{}
		for i := range 20 {
			open(t, g, question(fmt.Sprint(i), "1"), e)
		}
		b.now(func(q Question) Verdict {
			if token, _ := q.Credential.Value("token"); token == "7" {
				return Verdict{}
			}
			return user("ann")
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if left := g.Revoke("ann", "").Wait(ctx); left != 1 {
			t.Errorf("%d questions are left, want the one that fails", left)
		}
		b.says(user("ann"))
		if left := g.Revoke("ann", "").Wait(t.Context()); left != 0 {
			t.Errorf("%d questions are left", left)
		}
		if left := g.Revoke("nobody", "9").Wait(t.Context()); left != 0 {
			t.Errorf("%d questions are left of none", left)
		}
	})
}

// Regular re-checks that are late do not hold up a revocation.
func TestRevocationGoesFirst(t *testing.T) {
	inGate(t, Config{Cadence: cadence, MaxInFlight: 4}, func(t *testing.T, g *Gate, b *backend) {
		e, others := &ends{}, &ends{}
		b.now(func(q Question) Verdict { token, _ := q.Credential.Value("token"); return user(token) })
		for i := range 3000 {
			open(t, g, question(fmt.Sprint(i), "1"), others)
		}
		open(t, g, question("ann", "1"), e)
		b.takes(100 * time.Millisecond) // 3,000 re-checks now take five minutes
		pass(cadence)
		b.says(denied())
		g.Revoke("ann", "")
		pass(time.Second)
		if len(e.told()) != 1 {
			t.Error("the stream goes on")
		}
	})
}

// Who signs out has one credential, and it need not be known whose it is: what that
// credential was allowed counts no more, and other credentials are not asked about.
func TestRevokedCredential(t *testing.T) {
	inGate(t, Config{Cadence: time.Hour, Allowed: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		b.says(Verdict{Outcome: Allowed})
		e := &ends{}
		open(t, g, question("ann", "1"), e)
		open(t, g, question("ann", "2"), e)
		open(t, g, question("bob", "1"), e)
		b.count()
		b.says(denied())
		revocation := g.RevokeCredential(question("ann", "").Credential)
		left := revocation.Wait(t.Context())
		pass(0) // for the ends to be told
		if left != 0 || len(e.told()) != 2 {
			t.Errorf("%d questions are open, %d streams ended, want 0 and 2", left, len(e.told()))
		}
		wantAsked(t, b, 2)
		b.says(Verdict{Outcome: Allowed})
		check(t, g, question("bob", "1"), Allowed, NoCause) // from memory
		wantAsked(t, b, 0)
		check(t, g, question("bob", "3"), Allowed, NoCause)
		check(t, g, question("carl", "1"), Allowed, NoCause)
		wantAsked(t, b, 2)
		b.says(denied())
		g.RevokeCredential(question("bob", "").Credential).Wait(t.Context())
		check(t, g, question("bob", "3"), Denied, Forbidden)
		check(t, g, question("carl", "1"), Allowed, NoCause)
	})
}
