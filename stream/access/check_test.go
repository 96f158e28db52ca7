package access

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRemembersByOutcome(t *testing.T) {
	for _, x := range []struct {
		name     string
		says     Verdict
		want     Verdict
		remember time.Duration
	}{
		{"allowed", Verdict{Outcome: Allowed}, Verdict{Outcome: Allowed}, 30 * time.Second},
		{"forbidden", Verdict{Outcome: Denied, Cause: Forbidden}, Verdict{Outcome: Denied, Cause: Forbidden}, 5 * time.Second},
		{"not found", Verdict{Outcome: Denied, Cause: NotFound}, Verdict{Outcome: Denied, Cause: NotFound}, 5 * time.Second},
		{"denied without cause", Verdict{Outcome: Denied}, Verdict{Outcome: Denied, Cause: Forbidden}, 5 * time.Second},
		{"bad credential", Verdict{Outcome: Denied, Cause: BadCredential}, Verdict{Outcome: Denied, Cause: BadCredential}, 2 * time.Second},
		{"unknown", Verdict{}, Verdict{Cause: Unavailable}, pause},
		{"limited", Verdict{Cause: Limited, RetryAfter: time.Minute}, Verdict{Cause: Limited}, pause},
		{"allowed with cause", Verdict{Outcome: Allowed, Cause: Forbidden}, Verdict{Outcome: Allowed}, 30 * time.Second},
		{"shorter", Verdict{Outcome: Allowed, MaxAge: time.Second}, Verdict{Outcome: Allowed}, time.Second},
		{"never longer", Verdict{Outcome: Allowed, MaxAge: time.Hour}, Verdict{Outcome: Allowed}, 30 * time.Second},
		{"not at all", Verdict{Outcome: Allowed, MaxAge: -1}, Verdict{Outcome: Allowed}, 0},
		{"nonsense", Verdict{Outcome: 7}, Verdict{Cause: Unavailable}, pause},
	} {
		t.Run(x.name, func(t *testing.T) {
			inGate(t, Config{}, func(t *testing.T, g *Gate, b *backend) {
				b.says(x.says)
				check(t, g, question("t", "1"), x.want.Outcome, x.want.Cause)
				wantAsked(t, b, 1)
				if x.remember > 0 {
					pass(x.remember - 1)
					check(t, g, question("t", "1"), x.want.Outcome, x.want.Cause)
					wantAsked(t, b, 0)
				}
				pass(1)
				check(t, g, question("t", "1"), x.want.Outcome, x.want.Cause)
				wantAsked(t, b, 1)
			})
		})
	}
}

func TestAgeCountsFromTheQuestion(t *testing.T) {
	inGate(t, Config{}, func(t *testing.T, g *Gate, b *backend) {
		b.takes(2 * time.Second)
		check(t, g, question("t", "1"), Allowed, NoCause)
		pass(28 * time.Second)
		check(t, g, question("t", "1"), Allowed, NoCause)
		wantAsked(t, b, 2)
	})
}

func TestDifferentQuestionsHaveDifferentAnswers(t *testing.T) {
	one := Input{"a", "b"}
	questions := []Question{
		{}, {Channel: "1"}, {Scope: "1"}, {List: true}, {Scope: "1", List: true},
		{Credential: NewCredential(one)}, {Credential: NewCredential(one, one)},
		{Credential: NewCredential(Input{"a", ""}, Input{"b", ""})}, {Credential: NewCredential(Input{"", "ab"})},
		{Credential: NewCredential(Input{"ab", ""})}, {Channel: "a", Scope: "b"}, {Channel: "b", Scope: "a"},
		{Channel: "1", Credential: NewCredential(one)}, {Channel: "channel"}, {Channel: "1\x00"},
	}
	key := newDigestKey()
	seen := map[digest]int{}
	for i := range questions {
		d := key.question(&questions[i])
		if j, ok := seen[d]; ok {
			t.Errorf("questions %d and %d are the same", i, j)
		}
		seen[d] = i
	}
	other := newDigestKey()
	if key.question(&questions[1]) == other.question(&questions[1]) {
		t.Error("the digest does not depend on the key")
	}
	same := questions[12]
	same.Origin = "another client"
	if _, ok := seen[key.question(&same)]; !ok {
		t.Error("the origin is part of the question")
	}
	if key.question(&Question{List: true, Channel: "1"}) != key.question(&Question{List: true, Channel: "2"}) {
		t.Error("the channel is part of a question for all channels")
	}
}

func TestCredentialsDoNotPrint(t *testing.T) {
	const secret = "hunter2"
	q := question(secret, "1")
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		fmt.Fprintf(&b, verb+verb, q, q.Credential)
	}
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "q", q, "c", q.Credential)
	text, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(text)
	if strings.Contains(b.String(), secret) {
		t.Errorf("the secret is in %s", b.String())
	}
	if v, ok := q.Credential.Value("token"); !ok || v != secret {
		t.Errorf("the asker gets %q", v)
	}
	if _, ok := q.Credential.Value("cookie"); ok {
		t.Error("an input that was not presented is there")
	}
}

func TestCheckAll(t *testing.T) {
	var channels []string
	for i := range 40 {
		channels = append(channels, fmt.Sprint(i))
	}
	inGate(t, Config{}, func(t *testing.T, g *Gate, b *backend) {
		if v := g.CheckAll(t.Context(), question("t", ""), nil, true); len(v) != 0 {
			t.Errorf("nothing asked, got %v", v)
		}
		b.takes(100 * time.Millisecond)
		b.now(func(q Question) Verdict {
			if q.Channel == "7" {
				return Verdict{Outcome: Denied, Cause: NotFound}
			}
			return Verdict{Outcome: Allowed}
		})
		for i, v := range g.CheckAll(t.Context(), question("t", ""), channels, false) {
			if want := channels[i] != "7"; (v.Outcome == Allowed) != want {
				t.Errorf("%s: %v", channels[i], v.Outcome)
			}
		}
		wantAsked(t, b, 40)
		if p := b.highest(); p > maxParallel {
			t.Errorf("%d in flight", p)
		}
		b.says(Verdict{Outcome: Denied, Cause: BadCredential})
		for _, v := range g.CheckAll(t.Context(), question("bad", ""), channels, true) {
			if v.Cause != BadCredential {
				t.Errorf("got %v", v.Cause)
			}
		}
		wantAsked(t, b, 1)
		b.says(Verdict{Outcome: Allowed, User: "u", Channels: []string{"9", "2", "2", "x"}})
		list := question("lister", "")
		list.List = true
		for range 2 {
			for i, v := range g.CheckAll(t.Context(), list, channels, true) {
				listed := channels[i] == "9" || channels[i] == "2"
				if (v.Outcome == Allowed) != listed || v.Channels != nil || v.User != "u" || !listed && v.Cause != Forbidden {
					t.Errorf("%s: %+v", channels[i], v)
				}
			}
		}
		wantAsked(t, b, 1)
	})
}

func TestCacheIsBounded(t *testing.T) {
	inGate(t, Config{MaxEntries: 100, Denied: time.Hour, Allowed: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		check(t, g, question("good", "1"), Allowed, NoCause)
		b.says(Verdict{Outcome: Denied})
		for i := range 1000 {
			check(t, g, question("t", fmt.Sprint(i)), Denied, Forbidden)
		}
		if n := g.Stats().Cached; n > 101 {
			t.Errorf("%d remembered", n)
		}
		b.count()
		check(t, g, question("good", "1"), Allowed, NoCause) // no denial pushed it out
		check(t, g, question("t", "999"), Denied, Forbidden)
		wantAsked(t, b, 0)
		many := make([]string, 10_000)
		b.says(Verdict{Outcome: Allowed, Channels: append(many, "1")})
		list := question("t", "1")
		list.List = true
		check(t, g, list, Allowed, NoCause)
		if n := g.Stats().Cached; n > 101 {
			t.Errorf("%d remembered", n)
		}
	})
}

// One client fills a part of the cache only, however many credentials it makes
// of one token and however many channels it asks for.
func TestCacheIsShared(t *testing.T) {
	inGate(t, Config{MaxEntries: 400, Denied: time.Hour, Allowed: time.Hour, Cadence: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		good := func() {
			for i := range 100 {
				check(t, g, from("192.0.2.1", fmt.Sprint("good", i), "1"), Allowed, NoCause)
			}
		}
		good()
		for i := range 10_000 {
			q := question(fmt.Sprint("m:", i), "1")
			q.Client = "m"
			check(t, g, q, Allowed, NoCause)
		}
		b.count()
		good()
		wantAsked(t, b, 0)
		if n := len(g.cache.allowed.byClient); n != 101 || g.cache.allowed.byClient["m"].recent.Len() != 400/clientShare {
			t.Errorf("%d clients, the flooder has %d", n, g.cache.allowed.byClient["m"].recent.Len())
		}
		for i := range 1000 {
			check(t, g, from("192.0.2.1", fmt.Sprint("other", i), "1"), Allowed, NoCause)
		}
		if s := &g.cache.allowed; s.weight > 400 || s.recent.Len() != len(s.byKey) || len(s.byClient) != 400 {
			t.Errorf("weight %d, %d entries, %d in order, %d clients", s.weight, len(s.byKey), s.recent.Len(), len(s.byClient))
		}
	})
}

func TestCacheBelievesTheLaterQuestion(t *testing.T) {
	now := time.Now()
	at := func(tick uint64, o Outcome) Verdict { return Verdict{Outcome: o, asked: stamp{tick, now}} }
	for _, x := range []struct {
		first, second Verdict
		want          Outcome
	}{
		{at(1, Allowed), at(2, Denied), Denied},
		{at(2, Denied), at(1, Allowed), Denied},
		{at(1, Denied), at(2, Allowed), Allowed},
		{at(2, Allowed), at(1, Denied), Allowed},
		{at(2, Allowed), at(1, Allowed), Allowed},
	} {
		c := newCache(10)
		c.put(digest{1}, "", x.first, now.Add(time.Minute))
		c.put(digest{1}, "", x.second, now.Add(time.Minute))
		e, ok := c.get(digest{1}, now)
		if !ok || e.verdict.Outcome != x.want || e.verdict.asked.tick != 2 || c.len() != 1 {
			t.Errorf("%v, then %v: %+v", x.first, x.second, e)
		}
		if _, ok := c.get(digest{1}, now.Add(time.Minute)); ok || c.len() != 0 {
			t.Error("an expired verdict is there")
		}
	}
}

func TestConfigure(t *testing.T) {
	inGate(t, Config{Cadence: time.Hour}, func(t *testing.T, g *Gate, b *backend) {
		e := &ends{}
		defer open(t, g, question("t", "1"), e).Release()
		b.takes(time.Second)
		late := make(chan Verdict, 1)
		go func() { late <- g.Check(t.Context(), question("t", "2")) }()
		go g.Check(t.Context(), question("t", "3"))
		synctest.Wait()
		after := &backend{answer: func(Question) Verdict { return Verdict{Outcome: Denied} }}
		g.Configure(Config{Cadence: 10 * time.Second}, after.ask)
		check(t, g, question("t", "2"), Denied, Forbidden) // does not wait for the old answer
		if v := <-late; v.Outcome != Allowed {
			t.Errorf("who asked before got %v", v.Outcome)
		}
		check(t, g, question("t", "2"), Denied, Forbidden) // and no old answer is remembered
		check(t, g, question("t", "3"), Denied, Forbidden)
		wantAsked(t, after, 2)
		if len(e.told()) != 0 {
			t.Error("the running stream was ended by the change itself")
		}
		pass(10 * time.Second)
		if len(e.told()) != 1 {
			t.Error("the running stream was not asked for on the new cadence")
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{delay: time.Hour}
		g := New(Config{MaxInFlight: 2}, b.ask)
		outcomes := make(chan Verdict, 3)
		for i := range 3 {
			go func() { outcomes <- g.Check(t.Context(), question("t", fmt.Sprint(i))) }()
		}
		synctest.Wait()
		e := &ends{}
		w := g.Watch(question("t", "w"), Verdict{Outcome: Allowed}, e.on)
		g.Close()
		for range 3 {
			if v := <-outcomes; v.Outcome != Unknown {
				t.Errorf("got %v", v.Outcome)
			}
		}
		check(t, g, question("t", "1"), Unknown, Unavailable)
		w.Release()
		g.Revoke("u", "w")
		if len(e.told()) != 0 {
			t.Error("the watcher was told something")
		}
	})
}
