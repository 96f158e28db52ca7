package pull

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-078801ba/sidestream/stream/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeApp is an app in memory, whose clock is that of the test.
type fakeApp struct {
	mu        sync.Mutex
	last      int
	messages  map[string][]fakeMessage
	latency   time.Duration
	page      int
	asked     []time.Time
	inFlight  int
	most      int
	refuse    func(n int) *Answer // by the number of the question
	etags     bool
	unchanged int
}

type fakeMessage struct {
	id      int
	at      time.Time // when it can be seen
	deleted bool
	strange bool // it has no text that can be read
}

func (a *fakeApp) say(channel string, late time.Duration) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.messages == nil {
		a.messages = map[string][]fakeMessage{}
	}
	a.last++
	a.messages[channel] = append(a.messages[channel], fakeMessage{id: a.last, at: time.Now().Add(late)})
	return a.last
}

func (a *fakeApp) Ask(ctx context.Context, r *Request) (*Answer, error) {
	a.mu.Lock()
	a.asked = append(a.asked, time.Now())
	n := len(a.asked)
	a.inFlight++
	a.most = max(a.most, a.inFlight)
	refuse := a.refuse
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		a.inFlight--
		a.mu.Unlock()
	}()
	select {
	case <-time.After(a.latency):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if refuse != nil {
		if answer := refuse(n); answer != nil {
			return answer, nil
		}
	}
	u, err := url.ParseRequestURI(r.URI)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	type shown struct {
		ID   int    `json:"id"`
		Text any    `json:"text"`
		At   string `json:"at"`
	}
	list := []shown{}
	known := true
	since, err := strconv.Atoi(u.Query().Get("after"))
	anchored := err == nil
	if anchored {
		known = false
	}
	for _, m := range a.messages[strings.TrimPrefix(u.Path, "/rooms/")] {
		if m.deleted || m.at.After(time.Now()) {
			continue
		}
		if known = known || m.id == since; m.id > since || !anchored {
			var text any = fmt.Sprint("message ", m.id)
			if m.strange {
				text = map[string]int{"id": m.id}
			}
			list = append(list, shown{m.id, text, m.at.Format(time.RFC3339Nano)})
		}
	}
	if !known {
		return &Answer{Status: http.StatusNotFound, Header: http.Header{}}, nil
	}
	page := a.page
	if page == 0 {
		page = 100
	}
	if anchored {
		list = list[:min(page, len(list))]
	} else {
		list = list[max(0, len(list)-page):]
	}
	body, err := json.Marshal(list)
	header := http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}
	if a.etags {
		etag := fmt.Sprintf("\"%x\"", sha256.Sum256(body))
		header.Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			a.unchanged++
			return &Answer{Status: http.StatusNotModified, Header: header}, nil
		}
	}
	return &Answer{Status: http.StatusOK, Header: header, Body: body}, err
}

func (a *fakeApp) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

// fakeLog is a log in memory.
type fakeLog struct {
	mu     sync.Mutex
	marks  map[string]string
	keys   map[string]bool
	events []event.Event
	fail   func() error
}

func (l *fakeLog) Publish(_ context.Context, b event.Batch) ([]event.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		if err := l.fail(); err != nil {
			return nil, err
		}
	}
	if l.marks == nil {
		l.marks, l.keys = map[string]string{}, map[string]bool{}
	}
	receipts := make([]event.Receipt, len(b.Events))
	for i, e := range b.Events {
		if l.keys[e.Key()] {
			receipts[i].Duplicate = true
			continue
		}
		l.keys[e.Key()] = true
		l.events = append(l.events, e)
	}
	if b.Mark != nil {
		l.marks[b.Mark.Source] = b.Mark.Value
	}
	return receipts, nil
}

func (l *fakeLog) mark(source string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.marks[source], nil
}

func (l *fakeLog) ids() (ids []int, gaps int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.Op == event.Gap {
			gaps++
			continue
		}
		id, _ := strconv.Atoi(e.ID.Text)
		ids = append(ids, id)
	}
	return ids, gaps
}

func fakeConfig(options ...string) Config {
	c := Config{URI: "/rooms/{channel}?after={last.id}"}
	for _, line := range append([]string{"each {json}", "map id {item.id}", "map time {item.at}", "map body {item.text}"}, options...) {
		words := strings.Fields(line)
		if err := c.Option(words[0], words[1:]); err != nil {
			panic(err) // it is made here
		}
	}
	return c
}

// begin runs a source; end ends it.
func begin(t *testing.T, c Config, app *fakeApp, l *fakeLog) (s *Source, end func()) {
	t.Helper()
	s, err := New(c, Options{Asker: app, Publisher: l, Mark: l.mark, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return s, func() { cancel(); <-done }
}

// Many channels with listeners do not make more questions than the configuration says,
// and each has its turn.
func TestQuestionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const channels, perSecond = 10_000, 50
		app := &fakeApp{latency: 100 * time.Millisecond}
		s, end := begin(t, fakeConfig("rate 50", "in_flight 8", "every 10s"), app, &fakeLog{})
		defer end()
		for i := range channels {
			s.Interest(fmt.Sprint(i), true)
		}
		time.Sleep(100 * time.Second)
		synctest.Wait()
		if n := app.count(); n > 100*perSecond+8 || n < 90*perSecond {
			t.Errorf("%d questions in 100 s, at %d a second", n, perSecond)
		}
		if app.most > 8 {
			t.Errorf("%d questions at a time", app.most)
		}
		// Whoever is poked does not wait for all others.
		before := app.count()
		read := s.counts.pokes.Load()
		s.Poke(event.Poke{Channel: "9999"})
		app.say("9999", 0)
		time.Sleep(2 * time.Second)
		if app.count()-before > 3*perSecond || s.counts.pokes.Load() != read+1 {
			t.Errorf("%d questions for a poke", app.count()-before)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if c := s.channels["9999"]; !c.isReady() {
			t.Error("a channel that was poked waits")
		}
	})
}

// A flood of pokes makes one question after another, not one each.
func TestPokesAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &fakeApp{latency: 100 * time.Millisecond}
		s, end := begin(t, fakeConfig("rate 1000", "every 1h"), app, &fakeLog{})
		defer end()
		<-s.Interest("1", true)
		before := app.count()
		for range 1000 {
			s.Poke(event.Poke{Channel: "1"})
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		if n := app.count() - before; n > 25 || n < 2 {
			t.Errorf("%d questions", n)
		}
	})
}

// Everything that the app has is in the log, once and whatever happens: messages that
// are committed late, an app that fails, a log that fails, deleted messages, crashes of
// the process. What is missing was told.
func TestNothingIsSkipped(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playFaults(t, &dice{r: rand.New(rand.NewPCG(seed, 1))}) })
		})
	}
}

// dice is a source of chance for several goroutines.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (d *dice) IntN(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

func playFaults(t *testing.T, r *dice) {
	app, l := &fakeApp{latency: 20 * time.Millisecond, page: 30, etags: r.IntN(2) == 0}, &fakeLog{}
	app.refuse = func(int) *Answer {
		switch r.IntN(20) {
		case 0:
			return &Answer{Status: http.StatusInternalServerError, Header: http.Header{}}
		case 1:
			return &Answer{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}}
		case 2:
			return &Answer{Status: http.StatusOK, Header: http.Header{}, Body: []byte("<html>")}
		}
		return nil
	}
	l.fail = func() error {
		if r.IntN(20) == 0 {
			return event.ErrUnavailable
		}
		return nil
	}
	for range r.IntN(50) {
		app.say("1", 0)
	}
	config := fakeConfig("every 2s", "overlap 3s", "pages 20", "rate 1000")
	s, end := begin(t, config, app, l)
	<-s.Interest("1", true)
	var said []int
	gone := map[int]bool{}
	for range 100 {
		switch r.IntN(12) {
		case 0: // a crash, or a new configuration
			end()
			s, end = begin(t, config, app, l)
			s.Interest("1", true)
		case 1:
			app.mu.Lock()
			list := app.messages["1"]
			if len(list) > 0 && r.IntN(2) == 0 {
				m := &list[len(list)-1]
				m.deleted, gone[m.id] = true, true
			}
			app.mu.Unlock()
		case 2:
			time.Sleep(time.Duration(r.IntN(5000)) * time.Millisecond)
		default:
			said = append(said, app.say("1", time.Duration(r.IntN(2500))*time.Millisecond))
			if r.IntN(2) == 0 {
				s.Poke(event.Poke{Channel: "1"})
			}
			time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
		}
	}
	app.mu.Lock()
	app.refuse = nil
	app.mu.Unlock()
	l.mu.Lock()
	l.fail = nil
	l.mu.Unlock()
	time.Sleep(3 * time.Minute)
	end()
	got, gaps := l.ids()
	sorted := slices.Clone(got)
	slices.Sort(sorted)
	if len(slices.Compact(slices.Clone(sorted))) != len(got) {
		t.Errorf("something came twice: %v", sorted)
	}
	for _, id := range said {
		if !slices.Contains(got, id) && !gone[id] && gaps == 0 {
			t.Errorf("message %d is missing, and nothing was told; got %v", id, sorted)
		}
	}
}

// What is settled in the app's list is not asked for again and again.
func TestQuietChannelsAskForLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, l := &fakeApp{etags: true}, &fakeLog{}
		for range 40 {
			app.say("1", 0)
		}
		s, end := begin(t, fakeConfig("every 10s"), app, l)
		defer end()
		<-s.Interest("1", true)
		time.Sleep(10 * time.Minute)
		if ids, gaps := l.ids(); len(ids) > 0 || gaps > 0 {
			t.Errorf("%v, %d gaps", ids, gaps)
		}
		if app.unchanged < app.count()*8/10 {
			t.Errorf("%d of %d answers were 304", app.unchanged, app.count())
		}
		m, _ := parseMark(l.marks["pull/pull/1"])
		if m.Behind.ID != "40" {
			t.Errorf("it is asked behind %+v", m.Behind)
		}
	})
}

// A listener that did not wait misses nothing that is said after it came, however long
// the app takes.
func TestFirstRunSwallowsNothingThatWasPromised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, l := &fakeApp{latency: 5 * time.Second}, &fakeLog{}
		app.say("1", 0)
		time.Sleep(time.Hour)
		s, end := begin(t, fakeConfig(), app, l)
		defer end()
		s.Interest("1", true)
		time.Sleep(2 * time.Second)
		said := app.say("1", 0)
		time.Sleep(time.Minute)
		if ids, gaps := l.ids(); !slices.Equal(ids, []int{said}) || gaps > 0 {
			t.Errorf("%v, %d gaps", ids, gaps)
		}
		// With a position that was given, too.
		app.say("2", 0)
		time.Sleep(time.Hour)
		s.Since("2", time.Now(), event.Cursor{})
		second := app.say("2", 0)
		time.Sleep(time.Minute)
		if ids, _ := l.ids(); !slices.Equal(ids, []int{said, second}) {
			t.Errorf("%v", ids)
		}
	})
}

// A channel that the reader may not read does not hold up others, is asked less and
// less often, and whoever poked is told of a gap, once.
func TestChannelThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, l := &fakeApp{}, &fakeLog{}
		app.refuse = func(int) *Answer { return &Answer{Status: http.StatusForbidden, Header: http.Header{}} }
		s, end := begin(t, fakeConfig("every 1s"), app, l)
		defer end()
		<-s.Interest("1", true)
		for range 100 {
			s.Poke(event.Poke{Channel: "1"})
			time.Sleep(time.Second)
		}
		time.Sleep(time.Hour)
		if n := app.count(); n > 30 {
			t.Errorf("%d questions", n)
		}
		if _, gaps := l.ids(); gaps != 1 {
			t.Errorf("%d gaps", gaps)
		}
	})
}

// Messages that cannot be mapped, at the end of some channels, hold up no other channel,
// nor what is said behind them.
func TestMessageThatCannotBeMappedHoldsUpNobody(t *testing.T) {
	for name, earlier := range map[string]int{"alone": 0, "behind another": 1, "behind many": 30} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				app, l := &fakeApp{}, &fakeLog{}
				s, end := begin(t, fakeConfig("every 1s"), app, l)
				defer end()
				<-s.Interest("good", true)
				for i := range 10 {
					channel := fmt.Sprint("strange-", i)
					for range earlier {
						app.say(channel, 0)
					}
					<-s.Interest(channel, true)
					app.say(channel, 0)
					app.mu.Lock()
					app.messages[channel][earlier].strange = true
					app.mu.Unlock()
				}
				time.Sleep(time.Minute) // long enough for pauses to grow
				before := app.count()
				time.Sleep(time.Minute)
				if n := app.count() - before; n < 500 || n > 800 {
					t.Errorf("%d questions in a minute, of 11 channels that are read every second", n)
				}
				want := []int{app.say("good", 0)}
				time.Sleep(3 * time.Second)
				if got, _ := l.ids(); !slices.Equal(got, want) {
					t.Errorf("another channel: got %v, want %v", got, want)
				}
				want = append(want, app.say("strange-3", 0))
				time.Sleep(10 * time.Minute)
				if got, gaps := l.ids(); !slices.Equal(got, want) || gaps != 0 {
					t.Errorf("the same channel: got %v and %d gaps, want %v", got, gaps, want)
				}
			})
		})
	}
}
