package redis

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// globMatch is what Redis does, shown by Redis: KEYS uses the same matcher.
func TestGlobAsRedis(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "no")
	a := newApp(t, server.Addr)
	rapid.Check(t, func(rt *rapid.T) {
		pattern := rapid.StringMatching(`[ab*?\[\]\^\\-]{1,8}`).Draw(rt, "pattern")
		key := rapid.StringMatching(`[ab*?\[\]\^\\-]{1,6}`).Draw(rt, "key")
		a.do("FLUSHALL")
		a.do("SET", key, "1")
		found, err := a.c.Do(context.Background(), a.c.B().Keys().Pattern(pattern).Build()).AsStrSlice()
		if err != nil {
			rt.Fatal(err)
		}
		if got := globMatch(pattern, key); got != (len(found) == 1) {
			rt.Errorf("%q on %q: %v, Redis says %v", pattern, key, got, !got)
		}
	})
}

func FuzzGlob(f *testing.F) {
	f.Add("room:*", "room:1")
	f.Add(`[^a-c]\*?[`, "x*y[")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 1000 || len(s) > 1000 {
			return
		}
		globMatch(pattern, s)
		if !globMatch("*"+pattern+"*", s) && globMatch(pattern, s) {
			t.Error("more stars match less")
		}
		var quoted strings.Builder
		for i := range len(s) {
			quoted.WriteByte('\\')
			quoted.WriteByte(s[i])
		}
		if !globMatch(quoted.String(), s) {
			t.Errorf("%q does not match itself, quoted", s)
		}
	})
}

func TestSignals(t *testing.T) {
	tok := newToken()
	for _, s := range []signal{
		{kind: probeSignal, scope: tok, session: tok, token: tok, sent: 1},
		{kind: answerSignal, scope: tok, session: tok, token: tok, answers: tok, gap: tok},
	} {
		if got, ok := parseSignal(s.String()); !ok || got != s {
			t.Errorf("%v came back as %v, %v", s, got, ok)
		}
	}
	if newToken() == tok || !isToken(digest("a")) || digest("a", "b") == digest("ab", "") || digest("a", "b") == digest("", "ab") {
		t.Error("tokens are not unique")
	}
}

func FuzzSignal(f *testing.F) {
	f.Add((&signal{kind: askSignal, scope: newToken(), session: newToken(), token: newToken(), sent: 1700000000}).String())
	f.Add("sidestream2 probe - - - - - 0")
	f.Fuzz(func(t *testing.T, text string) {
		if s, ok := parseSignal(text); ok && s.String() != text {
			t.Errorf("%q was read as %v", text, s)
		}
	})
}

func TestTemplates(t *testing.T) {
	for _, c := range []struct {
		template, name, want string
		ok                   bool
	}{
		{"chat:room_{channel}", "chat:room_5", "5", true},
		{"chat:room_{channel}", "chat:room_", "", true},
		{"chat:room_{channel}", "chat:lobby_5", "", false},
		{"{channel}:{channel}", "ab:ab", "ab", true},
		{"{channel}:{channel}", "ab:cd", "", false},
		{"{channel}:{channel}", "ab:abc", "", false},
		{"a{channel}b", "ab", "", true},
		{"a{channel}b", "a", "", false},
		{"plain", "plain", "", false},
	} {
		if got, ok := cutTemplate(c.template, c.name); got != c.want || ok != c.ok {
			t.Errorf("%s of %s: %q, %v", c.template, c.name, got, ok)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add("chat:{channel}", "chat:5")
	f.Add("{channel}{channel}", "aa")
	f.Fuzz(func(t *testing.T, template, name string) {
		if channel, ok := cutTemplate(template, name); ok && strings.ReplaceAll(template, channelHole, channel) != name {
			t.Errorf("%q of %q is %q", template, name, channel)
		}
	})
}

// Whatever is published, by whomever, becomes events or is counted.
func FuzzMessage(f *testing.F) {
	for _, c := range captures(f) {
		f.Add(c.Channel, []byte(c.payload()))
	}
	f.Add("room:\n", []byte("\xff"))
	var workers []*worker
	for _, lines := range [][]string{
		{"preset actioncable", "psubscribe *"}, {"preset anycable", "psubscribe *"}, {"preset laravel", "psubscribe *"},
		{"preset socketio", "psubscribe *"}, {"format msgpack", "psubscribe *"}, {"format text", "psubscribe *", "match :(?<channel>.+)$"},
	} {
		s, err := New(config("h:1", lines...), Options{Publisher: newMemory()})
		if err != nil {
			f.Fatal(err)
		}
		w := newWorker(s, nil)
		w.ctx = context.Background()
		workers = append(workers, w)
	}
	f.Fuzz(func(t *testing.T, channel string, payload []byte) {
		for _, w := range workers {
			w.decode(&item{channel: channel, payload: string(payload), window: "w"})
			for _, e := range w.batch {
				if e.Channel.IsZero() || e.Key() == "" || strings.ContainsAny(e.Channel.Text, "\x00\r\n") {
					t.Errorf("an event that cannot be: %+v", e)
				}
			}
			w.batch = nil
		}
	})
}

// The queue keeps order and bounds, and marks every loss in its place.
func TestQueueModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := newQueue(rapid.IntRange(1, 8).Draw(t, "events"), int64(rapid.IntRange(1, 20).Draw(t, "bytes")))
		var want []string
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				i := item{payload: strings.Repeat("x", rapid.IntRange(0, 9).Draw(t, "size"))}
				if q.push(i) {
					want = append(want, i.payload)
				} else if len(want) == 0 || want[len(want)-1] != "missed" {
					want = append(want, "missed")
				}
			},
			"miss": func(t *rapid.T) {
				q.note(item{kind: missed})
				if len(want) == 0 || want[len(want)-1] != "missed" {
					want = append(want, "missed")
				}
			},
			"take": func(t *rapid.T) {
				for _, i := range q.take(nil, rapid.IntRange(1, 5).Draw(t, "max")) {
					got := i.payload
					if i.kind == missed {
						got = "missed"
					}
					if len(want) == 0 || want[0] != got {
						t.Fatalf("took %q, want the first of %q", got, want)
					}
					want = want[1:]
				}
			},
			"": func(t *rapid.T) {
				events, bytes := q.waiting()
				var wantBytes int64
				wantEvents := 0
				for _, w := range want {
					if w != "missed" {
						wantEvents++
						wantBytes += int64(len(w))
					}
				}
				if events != wantEvents || bytes != wantBytes || events > q.maxEvents || bytes > q.maxBytes || q.notes != len(want)-wantEvents {
					t.Fatalf("%d events, %d bytes, %d notes; want %q", events, bytes, q.notes, want)
				}
			},
		})
	})
}

func TestQueueBoundsNotes(t *testing.T) {
	q := newQueue(10, 10)
	for range 3 * maxNotes {
		q.note(item{kind: followed, channel: "x"})
	}
	items := q.take(nil, 4*maxNotes)
	if len(items) != maxNotes+1 || items[maxNotes].kind != missed {
		t.Errorf("%d notes", len(items))
	}
}

// A channel is told of a loss before its next event, once, whatever comes in
// between, and all known ones are told soon.
func TestGapsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newGaps()
		told := map[string]int{}
		losses := 0
		channel := rapid.SampledFrom([]string{"a", "b", "c"})
		heardOf := map[string]bool{}
		tell := func(e event.Event) {
			if told[e.Channel.Text] == losses {
				t.Fatalf("%q is told twice", e.Channel.Text)
			}
			if e.Delivery != fmt.Sprint("gap:", losses) {
				t.Fatalf("told of %q, want loss %d", e.Delivery, losses)
			}
			told[e.Channel.Text] = losses
		}
		t.Repeat(map[string]func(*rapid.T){
			"lost": func(*rapid.T) { losses++; g.lost(fmt.Sprint(losses), time.Now()) },
			"event": func(t *rapid.T) {
				c := channel.Draw(t, "channel")
				e, due := g.before(event.Number(c))
				if due != (told[c] < losses) {
					t.Fatalf("%q: due %v, told of %d of %d", c, due, told[c], losses)
				}
				if due {
					tell(e)
				}
				heardOf[c] = true
			},
			"follow": func(t *rapid.T) {
				c := channel.Draw(t, "channel")
				if e, due := g.followed(c, false, time.Now()); due {
					tell(e)
					heardOf[c] = true
				} else if told[c] < losses {
					t.Fatalf("%q was not told", c)
				}
			},
			"tell all": func(t *rapid.T) {
				g.list([]string{"c"})
				for _, e := range g.next(100) {
					tell(e)
					heardOf[e.Channel.Text] = true
				}
				for c := range heardOf {
					if told[c] < losses {
						t.Fatalf("%q was not told", c)
					}
				}
				if told["c"] < losses {
					t.Fatal("a listener was not told")
				}
			},
		})
	})
}

func TestGapsAreBounded(t *testing.T) {
	g := newGaps()
	for i := range 5 * maxKnown {
		g.before(event.String(fmt.Sprint(i)))
	}
	if n := len(g.recent) + len(g.older); n > 2*maxKnown {
		t.Errorf("%d channels are remembered", n)
	}
	g.lost("x", time.Now().Add(-2*gapMemory))
	if g.current(time.Now()) != "" {
		t.Error("an old loss is still told to other nodes")
	}
}
