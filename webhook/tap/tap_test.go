package tap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// surroundings are a log, somebody who reads the app, and what was told to whom.
type surroundings struct {
	mu          sync.Mutex
	events      []event.Event // gaps among them
	known       map[string]bool
	marks       map[string]string
	fails       int // so many publishes
	pokes       []event.Poke
	takes       bool // pokes
	interrupted int
	revoked     []decode.Revocation
	found       map[string][]string
	rechecks    int
}

func (s *surroundings) Publish(_ context.Context, b event.Batch) ([]event.Receipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails > 0 {
		s.fails--
		return nil, event.ErrUnavailable
	}
	receipts := make([]event.Receipt, len(b.Events))
	for i, e := range b.Events {
		key := e.Key()
		receipts[i].Duplicate = s.known[key]
		if !s.known[key] {
			s.known[key] = true
			s.events = append(s.events, e)
		}
	}
	if b.Mark != nil {
		s.marks[b.Mark.Source] = b.Mark.Value
	}
	return receipts, nil
}

func (s *surroundings) options() Options {
	return Options{
		Publisher: s, Node: "here", Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Mark: func(source string) (string, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.marks[source], nil
		},
		Find: func(_ context.Context, id string) ([]string, error) { return s.found[id], nil },
		Poke: func(p event.Poke) bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.pokes = append(s.pokes, p)
			return s.takes
		},
		Interrupted: func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.interrupted++
		},
		Revoke: func(r decode.Revocation) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.revoked = append(s.revoked, r)
		},
	}
}

func newSurroundings() *surroundings {
	return &surroundings{known: map[string]bool{}, marks: map[string]string{}, found: map[string][]string{}}
}

// User and Recheck make it a Client.
func (s *surroundings) User(context.Context, string) string { return "ann" }

func (s *surroundings) Recheck() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rechecks++
}

// messages are the ids of the events that are no gaps, and gaps their channels.
func (s *surroundings) messages() (ids, gaps []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Op == event.Gap {
			gaps = append(gaps, e.Channel.Text)
		} else {
			ids = append(ids, e.ID.Text)
		}
	}
	return ids, gaps
}

// reply is one answer of the app.
type reply struct {
	method, path string
	headers      []string // of the request
	posted       string
	status       int
	header       []string
	body         string
	broken, gone bool
}

// pass has an answer pass by.
func pass(t *testing.T, tap *Tap, rs *Rules, c Client, x reply) {
	t.Helper()
	r := request(x.method, x.path, x.headers...)
	if x.posted != "" {
		r.Body = io.NopCloser(strings.NewReader(x.posted))
		r.ContentLength = int64(len(x.posted))
		if r.Header.Get("Content-Type") == "" {
			r.Header.Set("Content-Type", "application/json")
		}
	}
	rt := rs.Find(r)
	if rt == nil {
		t.Fatalf("no rule is for %s %s", x.method, x.path)
	}
	q := rt.Prepare(r)
	a := tap.Begin(rt, q, c)
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	if x.status != 0 {
		h := http.Header{}
		for _, line := range x.header {
			name, value, _ := strings.Cut(line, ": ")
			h.Set(name, value)
		}
		if h.Get("Content-Type") == "" && x.body != "" {
			h.Set("Content-Type", "application/json")
		}
		a.Head(103, http.Header{"Link": {"x"}})
		a.Head(x.status, h)
		a.Body([]byte(x.body))
	}
	a.End(!x.broken && !x.gone, x.gone)
}

func compile(t *testing.T, taps ...Config) *Rules {
	t.Helper()
	rs, err := Compile(taps, nil)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// speak is a tap whose channel stands in the path, so that it is known also without an
// answer.
var speak = Config{Rule: on(post, "/rooms/{room}/messages", created, mapped(is("channel", "{path.room}"), is("id", "{res.id}"), is("body", "{res.text}")))}

func end(t *testing.T, tap *Tap) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tap.Close(ctx)
	if err := ctx.Err(); err != nil {
		t.Error("the tap has not ended in time")
	}
	if left := copies.left.Load(); left != maxCopies {
		t.Errorf("%d bytes were not given back", maxCopies-left)
	}
}

// Answers are published in the order in which they ended, each once.
func TestOrderOfAnswersStays(t *testing.T) {
	s := newSurroundings()
	tap, rs := New(s.options()), compile(t, speak)
	var want []string
	for i := range 1000 {
		pass(t, tap, rs, s, reply{method: "POST", path: "/rooms/1/messages", status: 201, body: fmt.Sprintf(`{"id":%d,"text":"x"}`, i)})
		want = append(want, strconv.Itoa(i))
	}
	end(t, tap)
	if got, gaps := s.messages(); !slices.Equal(got, want) || len(gaps) > 0 {
		t.Errorf("%d messages and gaps %v, want %d in order", len(got), gaps, len(want))
	}
}

// A message that the app may have taken, and that cannot be read, is never passed over
// in silence: whoever reads the app is poked, and where nobody does, the listeners are
// told.
func TestWhatCannotBeReadIsTold(t *testing.T) {
	good := `{"id":1,"text":"x"}`
	for _, x := range []struct {
		name string
		reply
	}{
		{"broken off", reply{status: 201, body: good[:9], broken: true}},
		{"shorter than announced", reply{status: 201, header: []string{"Content-Length: 100"}, body: good}},
		{"half of it, and no error", reply{status: 201, body: good[:9]}},
		{"an unknown coding", reply{status: 201, header: []string{"Content-Encoding: compress"}, body: good}},
		{"two codings", reply{status: 201, header: []string{"Content-Encoding: gzip, br"}, body: good}},
		{"no gzip at all", reply{status: 201, header: []string{"Content-Encoding: gzip"}, body: good}},
		{"no zstd at all", reply{status: 201, header: []string{"Content-Encoding: zstd"}, body: good}},
		{"no brotli at all", reply{status: 201, header: []string{"Content-Encoding: br"}, body: good}},
		{"too large", reply{status: 201, body: `{"id":1,"text":"` + strings.Repeat("x", maxCopy) + `"}`}},
		{"announced as too large", reply{status: 201, header: []string{"Content-Length: 2000000"}, body: good}},
		{"no answer", reply{gone: true}},
		{"the client's end before the answer", reply{status: 499, gone: true}},
	} {
		for _, taken := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, read %v", x.name, taken), func(t *testing.T) {
				s := newSurroundings()
				s.takes = taken
				tap, rs := New(s.options()), compile(t, speak)
				x.method, x.path = "POST", "/rooms/7/messages"
				pass(t, tap, rs, s, x.reply)
				end(t, tap)
				ids, gaps := s.messages()
				if len(ids) != 0 || len(s.pokes) != 1 || s.pokes[0].Channel != "7" || taken != (len(gaps) == 0) || !taken && !slices.Equal(gaps, []string{"7"}) {
					t.Errorf("messages %v, gaps %v, pokes %v", ids, gaps, s.pokes)
				}
			})
		}
	}
}

// What only looks like an answer about a message brings none, and tells nobody that
// one is missing.
func TestWhatOnlyLooksLikeAnAnswerBringsNothing(t *testing.T) {
	good := `{"id":1,"text":"x"}`
	for _, x := range []struct {
		name string
		reply
	}{
		{"another status", reply{status: 200, body: good}},
		{"not done yet", reply{status: 202, body: good}},
		{"nothing to say", reply{status: 204}},
		{"a part", reply{status: 206, body: good}},
		{"a redirect", reply{status: 303, header: []string{"Location: /x"}, body: good}},
		{"not modified", reply{status: 304}},
		{"refused", reply{status: 422, body: good}},
		{"an error", reply{status: 500, body: good}},
		{"an error that broke off", reply{status: 500, body: good, broken: true}},
		{"a download", reply{status: 201, header: []string{`Content-Disposition: attachment; filename="message.json"`}, body: good}},
		{"a cached answer", reply{status: 201, header: []string{"Age: 12"}, body: good}},
		{"HTML", reply{status: 201, header: []string{"Content-Type: text/html"}, body: "<h1>Please log in</h1>"}},
		{"JSON that is called HTML", reply{status: 201, header: []string{"Content-Type: text/html"}, body: good}},
		{"a text", reply{status: 201, header: []string{"Content-Type: text/plain"}, body: good}},
		{"a list", reply{status: 201, body: "[" + good + "]"}},
		{"a text in JSON", reply{status: 201, body: `"x"`}},
		{"nothing", reply{status: 201, body: "null"}},
		{"an empty answer", reply{status: 201, header: []string{"Content-Type: application/json"}}},
		{"no id", reply{status: 201, body: `{"text":"x"}`}},
		{"two ids", reply{status: 201, body: `{"id":1,"id":2,"text":"x"}`}},
		{"an id that is an object", reply{status: 201, body: `{"id":{"a":1},"text":"x"}`}},
		{"another method for the app", reply{headers: []string{"X-HTTP-Method-Override: DELETE"}, status: 201, body: good}},
		{"another path for the app", reply{headers: []string{"X-Original-URL: /rooms/2/messages"}, status: 201, body: good}},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := newSurroundings()
			tap, rs := New(s.options()), compile(t, speak)
			x.method, x.path = "POST", "/rooms/7/messages"
			pass(t, tap, rs, s, x.reply)
			end(t, tap)
			if ids, gaps := s.messages(); len(ids)+len(gaps)+s.interrupted > 0 {
				t.Errorf("messages %v, gaps %v, %d interruptions", ids, gaps, s.interrupted)
			}
		})
	}
	for _, path := range []string{"/rooms/1%2F..%2F7/messages", "/rooms/1;x/messages", "/rooms/7/messages?_method=delete"} {
		s := newSurroundings()
		tap, rs := New(s.options()), compile(t, speak)
		pass(t, tap, rs, s, reply{method: "POST", path: path, status: 201, body: good})
		end(t, tap)
		if ids, gaps := s.messages(); len(ids)+len(gaps) > 0 {
			t.Errorf("%s: messages %v, gaps %v", path, ids, gaps)
		}
	}
}

// A rule that reads nothing of the answer takes an empty one, or JSON, and no page.
func TestRulesThatReadOnlyTheRequest(t *testing.T) {
	rule := Config{Rule: on(post, "/rooms/{room}/messages", created,
		mapped(is("channel", "{path.room|number}"), is("id", "{header.Location|re:/([0-9]+)$|number}"), is("user", "{auth.user}"), is("body", "{req.text}")))}
	for _, x := range []struct {
		name string
		reply
		want []string
	}{
		{"empty", reply{posted: `{"text":"hi"}`, status: 201, header: []string{"Location: /messages/5"}}, []string{"5"}},
		{"JSON", reply{posted: `{"text":"hi"}`, status: 201, header: []string{"Location: /messages/5"}, body: "{}"}, []string{"5"}},
		{"a form", reply{posted: "text=hi", headers: []string{"Content-Type: application/x-www-form-urlencoded"}, status: 201, header: []string{"Location: /messages/5"}}, []string{"5"}},
		{"a page", reply{posted: `{"text":"hi"}`, status: 201, header: []string{"Location: /messages/5", "Content-Type: text/html"}, body: "<h1>no</h1>"}, nil},
		{"no Location", reply{posted: `{"text":"hi"}`, status: 201}, nil},
		{"a field twice", reply{posted: "text=a&text=b", headers: []string{"Content-Type: application/x-www-form-urlencoded"}, status: 201, header: []string{"Location: /messages/5"}}, nil},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := newSurroundings()
			tap, rs := New(s.options()), compile(t, rule)
			x.method, x.path = "POST", "/rooms/7/messages"
			pass(t, tap, rs, s, x.reply)
			end(t, tap)
			ids, gaps := s.messages()
			if !slices.Equal(ids, x.want) || len(gaps) > 0 {
				t.Errorf("messages %v, gaps %v, want %v", ids, gaps, x.want)
			}
			if len(ids) > 0 && (s.events[0].Body != "hi" || s.events[0].User.Text != "ann" || !s.events[0].Channel.Number) {
				t.Errorf("the event is %+v", s.events[0])
			}
		})
	}
}

// What is thrown away or changed says so in the counts, and only the allowed fields are
// passed on.
func TestOnlyAllowedFieldsAreShown(t *testing.T) {
	whole := Config{Rule: Rule{
		Method: post, Path: "/m", Statuses: []int{ok}, Fields: []string{"id", "room", "text"},
		Config: mapped(is("channel", "{res.room}"), is("id", "{res.id}"), is("data", "{res}")),
	}}
	thin := whole
	thin.Deliver, thin.Fields = deliverThin, nil
	for _, x := range []struct {
		config Config
		want   string
	}{{whole, `{"id":1.50,"room":"a","text":"\u0041"}`}, {thin, ""}} {
		s := newSurroundings()
		tap, rs := New(s.options()), compile(t, x.config)
		pass(t, tap, rs, s, reply{method: "POST", path: "/m", status: 200, body: `{"id":1.50,"token":"secret","room":"a","text":"A","unread":{"a":1}}`})
		end(t, tap)
		if len(s.events) != 1 {
			t.Fatalf("%d events", len(s.events))
		}
		got := string(s.events[0].Payload)
		if strings.Contains(got, "secret") || strings.Contains(got, "unread") || (x.want == "") != (got == "") {
			t.Errorf("the payload is %s", got)
		}
	}
}

// A deletion whose answer names no channel is the message's that our log has; where
// that is not one, the app is read.
func TestChannelOfADeletionIsFound(t *testing.T) {
	deletion := Config{Rule: on(remove, "/posts/{id}", ok, mapped(is("id", "{path.id}"), is("op", "delete"))).withWhen("{res.status} == OK")}
	s := newSurroundings()
	s.found["p1"], s.found["p2"] = []string{"town"}, []string{"town", "hall"}
	tap, rs := New(s.options()), compile(t, deletion)
	for _, id := range []string{"p1", "p2", "p3"} {
		pass(t, tap, rs, s, reply{method: "DELETE", path: "/posts/" + id, status: 200, body: `{"status":"OK"}`})
	}
	pass(t, tap, rs, s, reply{method: "DELETE", path: "/posts/p1", status: 200, body: `{"status":"no"}`})
	end(t, tap)
	if len(s.events) != 1 || s.events[0].Channel.Text != "town" || s.events[0].Op != event.Delete || len(s.pokes) != 2 {
		t.Errorf("events %v, pokes %v", s.events, s.pokes)
	}
}

// A rule that pokes brings nothing where somebody reads the app, and otherwise what it
// maps.
func TestPokesComeFirst(t *testing.T) {
	rule := speak
	rule.Poke = "{path.room}"
	for _, taken := range []bool{true, false} {
		s := newSurroundings()
		s.takes = taken
		tap, rs := New(s.options()), compile(t, rule)
		pass(t, tap, rs, s, reply{method: "POST", path: "/rooms/7/messages", status: 201, body: `{"id":1,"text":"x"}`})
		end(t, tap)
		if ids, _ := s.messages(); taken != (len(ids) == 0) || len(s.pokes) != 1 || s.pokes[0].Channel != "7" {
			t.Errorf("read %v: messages %v, pokes %v", taken, ids, s.pokes)
		}
	}
}

// What the log does not take waits, and is there once and in order when it does.
func TestAFailingLogLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings()
		s.fails = 20
		tap, rs := New(s.options()), compile(t, speak)
		var want []string
		for i := range 500 {
			pass(t, tap, rs, s, reply{method: "POST", path: "/rooms/1/messages", status: 201, body: fmt.Sprintf(`{"id":%d,"text":"x"}`, i)})
			want = append(want, strconv.Itoa(i))
		}
		time.Sleep(time.Hour)
		if got, gaps := s.messages(); !slices.Equal(got, want) || len(gaps) > 0 {
			t.Errorf("%d messages and gaps %v, want %d in order", len(got), gaps, len(want))
		}
		end(t, tap)
	})
}

// What has no place while the log fails is told, in all channels: nobody knows where it
// belonged.
func TestWhatHasNoPlaceIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings()
		s.fails = 1 << 30
		tap, rs := New(s.options()), compile(t, speak)
		for i := range maxQueue + 2*maxBatch {
			pass(t, tap, rs, s, reply{method: "POST", path: "/rooms/1/messages", status: 201, body: fmt.Sprintf(`{"id":%d,"text":"x"}`, i)})
			if i%maxBatch == 0 {
				synctest.Wait()
			}
		}
		s.mu.Lock()
		s.fails = 0
		s.mu.Unlock()
		time.Sleep(time.Hour)
		if ids, _ := s.messages(); s.interrupted == 0 || len(ids) < maxQueue {
			t.Errorf("%d interruptions, %d messages", s.interrupted, len(ids))
		}
		end(t, tap)
	})
}

// Copies are bounded all together, and an answer that has no place is told.
func TestCopiesAreBoundedTogether(t *testing.T) {
	s := newSurroundings()
	tap, rs := New(s.options()), compile(t, speak)
	var answers []*Answer
	body := []byte(`{"id":1,"text":"` + strings.Repeat("x", maxCopy-100) + `"}`)
	for range 2 * maxCopies / maxCopy {
		r := request("POST", "/rooms/7/messages")
		rt := rs.Find(r)
		a := tap.Begin(rt, rt.Prepare(r), s)
		a.Head(201, http.Header{"Content-Type": {"application/json"}})
		a.Body(body)
		answers = append(answers, a)
	}
	if left := copies.left.Load(); left < 0 {
		t.Errorf("%d bytes too many", -left)
	}
	for _, a := range answers {
		a.End(true, false)
	}
	end(t, tap)
	if ids, gaps := s.messages(); len(ids) != 1 || len(gaps) == 0 {
		t.Errorf("messages %v, gaps %v", ids, gaps)
	}
}

// Listeners of a channel are told again and again that something may be missing, and
// not more often than every few seconds: strangers can make answers break off.
func TestDoubtsAreNoFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings()
		tap, rs := New(s.options()), compile(t, speak)
		for range 100 {
			pass(t, tap, rs, s, reply{method: "POST", path: "/rooms/7/messages", gone: true})
			time.Sleep(200 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		if _, gaps := s.messages(); len(gaps) < 4 || len(gaps) > 6 {
			t.Errorf("told %d times in 20 seconds", len(gaps))
		}
		end(t, tap)
	})
}

// What clients can cause at will does not hide from the log that a message may be missing.
func TestLogTellsWhatMayBeMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings()
		var log bytes.Buffer
		o := s.options()
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		tap, rs := New(o), compile(t, speak)
		override := []string{"X-Http-Method-Override: DELETE"}
		for range 3 {
			pass(t, tap, rs, s, reply{method: "POST", path: "/rooms/7/messages", headers: override, status: 201, body: "{}"})
			pass(t, tap, rs, s, reply{method: "POST", path: "/rooms/7/messages", status: 201, body: "{}", broken: true})
		}
		synctest.Wait()
		end(t, tap)
		for _, part := range []string{"may_be_missing=false", "may_be_missing=true"} {
			if n := strings.Count(log.String(), part); n != 1 {
				t.Errorf("%d lines with %s:\n%s", n, part, &log)
			}
		}
	})
}

// A run that was killed is told of by the next one, and one that has ended well is not.
func TestAnUncleanEndIsTold(t *testing.T) {
	s := newSurroundings()
	first := New(s.options())
	first.Start()
	second := New(s.options()) // as if the first had been killed
	second.Start()
	second.Start()
	end(t, second)
	if s.interrupted != 1 {
		t.Errorf("after a kill: told %d times", s.interrupted)
	}
	third := New(s.options())
	third.Start()
	end(t, third)
	if s.interrupted != 1 {
		t.Errorf("after a good end: told %d times", s.interrupted)
	}
	s.takes = true // somebody reads the app, and owes the listeners a gap
	first.remember(markOpen)
	fourth := New(s.options())
	fourth.Start()
	end(t, fourth)
	if s.interrupted != 1 || len(s.pokes) == 0 {
		t.Errorf("with a pull: told %d times, pokes %v", s.interrupted, s.pokes)
	}
	end(t, first)
}

// What passes by says that somebody may have lost access.
func TestRevocationsInPassing(t *testing.T) {
	s := newSurroundings()
	rs, err := Compile(nil, []Revocation{
		{Method: "POST", Path: "/logout", Statuses: []int{204, 302}},
		{Method: "DELETE", Path: "/rooms/{room}/members/{user}", Statuses: []int{200}, User: "{path.user}", Channel: "{path.room}"},
		{Method: "DELETE", Path: "/rooms/{room}", Statuses: []int{200}, Channel: "{path.room}"},
		{Method: "POST", Path: "/kick", Statuses: []int{200}, User: "{req.user}", When: "{res.ok} == true"},
	})
	if err != nil {
		t.Fatal(err)
	}
	tap := New(s.options())
	pass(t, tap, rs, s, reply{method: "POST", path: "/logout", status: 302, header: []string{"Content-Type: text/html"}, body: "<a>"})
	pass(t, tap, rs, s, reply{method: "POST", path: "/logout", status: 401})
	pass(t, tap, rs, s, reply{method: "DELETE", path: "/rooms/7/members/bob", status: 200, header: []string{"Content-Type: text/html"}, body: "gone"})
	pass(t, tap, rs, s, reply{method: "DELETE", path: "/rooms/7", status: 200})
	pass(t, tap, rs, s, reply{method: "POST", path: "/kick", posted: `{"user":5}`, status: 200, body: `{"ok":true}`})
	pass(t, tap, rs, s, reply{method: "POST", path: "/kick", posted: `{"user":6}`, status: 200, body: `{"ok":false}`})
	end(t, tap)
	want := []decode.Revocation{{User: "bob", Channel: "7"}, {Channel: "7"}, {User: "5"}}
	if !slices.Equal(s.revoked, want) || s.rechecks != 4 {
		t.Errorf("revoked %v, %d clients asked about again; want %v and 4", s.revoked, s.rechecks, want)
	}
}

// A hub that closes, and a log that is closed, end the tap.
func TestAClosedLogEndsTheTap(t *testing.T) {
	s := newSurroundings()
	o := s.options()
	o.Publisher = closedPublisher{}
	tap, rs := New(o), compile(t, speak)
	pass(t, tap, rs, s, reply{method: "POST", path: "/rooms/1/messages", status: 201, body: `{"id":1,"text":"x"}`})
	pass(t, tap, rs, s, reply{method: "POST", path: "/rooms/1/messages", gone: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	tap.Close(ctx)
}

type closedPublisher struct{}

func (closedPublisher) Publish(context.Context, event.Batch) ([]event.Receipt, error) {
	return nil, errors.Join(event.ErrClosed)
}

// A client that writes a field in two ways, one for us and one for the app, is not
// believed: the app may have posted the message elsewhere.
func TestFieldsOfARequestAreNotAmbiguous(t *testing.T) {
	rule := Config{Rule: on(post, "/messages", ok, mapped(is("channel", "{req.to}"), is("id", "{res.id}"), is("body", "{req:/message[body] ?? req.content}")))}
	form := []string{"Content-Type: application/x-www-form-urlencoded"}
	for _, x := range []struct {
		name string
		reply
		taken bool
	}{
		{"a form", reply{path: "/messages", posted: "to=1&content=x", headers: form}, true},
		{"JSON", reply{path: "/messages", posted: `{"to":1,"content":"x"}`}, true},
		{"another parameter in the query", reply{path: "/messages?page=2", posted: "to=1&content=x", headers: form}, true},
		{"the field in the query, too", reply{path: "/messages?to=2", posted: "to=1&content=x", headers: form}, false},
		{"escaped", reply{path: "/messages?%74o=2", posted: "to=1&content=x", headers: form}, false},
		{"as a part of a list", reply{path: "/messages?to[]=2", posted: "to=1&content=x", headers: form}, false},
		{"in other letters", reply{path: "/messages?TO=2", posted: "to=1&content=x", headers: form}, false},
		{"a query that is none", reply{path: "/messages?a=%zz", posted: "to=1&content=x", headers: form}, false},
		{"twice in a form", reply{path: "/messages", posted: "to=1&to=2&content=x", headers: form}, false},
		{"twice in JSON", reply{path: "/messages", posted: `{"to":1,"to":2,"content":"x"}`}, false},
		{"in JSON in other letters", reply{path: "/messages", posted: `{"to":1,"TO":2,"content":"x"}`}, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := newSurroundings()
			tap, rs := New(s.options()), compile(t, rule)
			x.method, x.status, x.body = "POST", 200, `{"id":1}`
			pass(t, tap, rs, s, x.reply)
			end(t, tap)
			if ids, gaps := s.messages(); x.taken != (len(ids) == 1) || len(gaps) > 0 {
				t.Errorf("messages %v, gaps %v", ids, gaps)
			}
		})
	}
}
