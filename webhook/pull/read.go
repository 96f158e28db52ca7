package pull

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// reading is one channel read once: page after page until nothing is new.
type reading struct {
	s       *Source
	channel string
	m       mark
	known   bool // it was read before
	poked   bool
	// since is from when on nothing may be swallowed by a first run; zero: only
	// from when this is done.
	since time.Time
	from  event.Cursor
	etags map[string]remembered // by URI

	fresh int // items that were new
}

// remembered is what is known of an answer that may be given again.
type remembered struct {
	etag  string
	top   place // the newest in it
	items int
}

// refused is the error of an answer that is no list.
type refused struct {
	status int
	after  time.Duration // of Retry-After; 0 if it says nothing
	err    error
}

func (e *refused) Error() string {
	if e.err != nil {
		return e.err.Error()
	}
	return fmt.Sprintf("the app answers %d", e.status)
}

func (e *refused) Unwrap() error { return e.err }

// ofChannel tells whether it is about this channel alone; otherwise the app has
// trouble, or has enough of us.
func (e *refused) ofChannel() bool {
	return e.status >= 400 && e.status < 500 && e.status != http.StatusTooManyRequests && e.status != http.StatusRequestTimeout
}

// unknownPlace tells whether the answer may mean that the app no longer has the
// message that was asked for.
func unknownPlace(err error) bool {
	var r *refused
	return errors.As(err, &r) && (r.status == http.StatusNotFound || r.status == http.StatusBadRequest ||
		r.status == http.StatusGone || r.status == http.StatusUnprocessableEntity)
}

// run reads the channel. After an error, what was read so far is stored.
func (r *reading) run(ctx context.Context) error {
	if !r.known {
		return r.seed(ctx)
	}
	var err error
	if r.s.plan.next != nil {
		err = r.walk(ctx)
	} else {
		err = r.climb(ctx)
	}
	if !unknownPlace(err) || r.m.Behind.isZero() {
		return err
	}
	if r.s.plan.next == nil {
		// What was read before that is asked behind instead: then nothing lies between.
		behind := r.m.Behind
		for _, older := range r.m.before(olderTries, r.s.plan.byTime) {
			r.m.Behind = older
			if err = r.climb(ctx); !unknownPlace(err) {
				return err
			}
		}
		r.m.Behind = behind
	}
	return r.fallBack(ctx)
}

// olderTries is how many older messages are tried where the app no longer has the one
// behind which it is asked.
const olderTries = 2

// small is the length of a list that is certainly not cut: no app's pages are that
// short.
const small = 20

// climb reads from where the channel was read to, to its newest message.
func (r *reading) climb(ctx context.Context) error {
	p := r.s.plan
	at := r.m.Behind
	for n := 0; ; n++ {
		if n == p.Pages {
			return r.skip(ctx)
		}
		asked := time.Now()
		l, err := r.ask(ctx, r.questionBehind(at), values{channel: r.channel, last: at})
		if err != nil {
			return err
		}
		fresh, touches := r.m.fresh(l.items, p.byTime)
		var before []event.Event
		if at.isZero() && !touches && len(l.items) >= small { // it may be cut
			if len(r.m.Seen) > 0 {
				at = r.m.Seen[0].place
				continue
			}
			before = r.gap()
		}
		if err := r.publish(ctx, before, fresh, l.top, asked); err != nil {
			return err
		}
		top := l.top
		order, known := top.compare(at, p.byTime)
		moved := l.count > 0 && (at.isZero() || known && order > 0 || !known && top != at)
		switch {
		case len(fresh) == 0 && r.poked && n == 0 && l.count == 0 && r.s.mayVerify(r.channel):
			return r.fallBack(ctx) // something said that there is something
		case !moved, len(fresh) == 0 && l.count < small, at.isZero() && p.newest != p.behind:
			return nil
		}
		at = top
	}
}

// questionBehind is what lists the messages behind a place.
func (r *reading) questionBehind(at place) *question {
	if at.isZero() {
		return r.s.plan.newest
	}
	return r.s.plan.behind
}

// walk reads from the newest message back to what was read before.
func (r *reading) walk(ctx context.Context) error {
	asked := time.Now()
	items, reached, err := r.collect(ctx, r.questionBehind(r.m.Behind))
	if err != nil {
		return err
	}
	fresh, _ := r.m.fresh(items, r.s.plan.byTime)
	if reached {
		return r.publish(ctx, nil, fresh, place{}, asked)
	}
	return r.publish(ctx, r.gap(), fresh, place{}, asked)
}

// collect reads pages that have the newest first. reached tells that nothing lies
// between them and what was read before.
func (r *reading) collect(ctx context.Context, q *question) (items []item, reached bool, err error) {
	p := r.s.plan
	v := values{channel: r.channel, last: r.m.Behind}
	for n := 0; n < p.Pages; n++ {
		l, err := r.ask(ctx, q, v)
		switch {
		case err != nil:
			return nil, false, err
		case l.unchanged:
			return items, true, nil
		}
		items = append(l.items, items...)
		if _, touches := r.m.fresh(items, p.byTime); touches || len(l.items) == 0 || p.cursor != nil && l.cursor == "" {
			return items, true, nil
		}
		q = p.next
		v.page = page{number: n + 1, cursor: l.cursor, oldest: items[0].place}
	}
	return items, false, nil
}

// seed notes what there is in a channel that was never read, and passes nothing on of
// it; only what was said since somebody was told that nothing would be missed.
func (r *reading) seed(ctx context.Context) error {
	p := r.s.plan
	r.etags = nil
	asked := time.Now()
	v := values{channel: r.channel}
	if p.newest.uses("last", "time", "millis", "seconds") {
		v.last.Time = asked.Add(-time.Duration(p.Overlap)).UnixMilli()
	}
	l, err := r.ask(ctx, p.newest, v)
	if err != nil {
		return err
	}
	var said []item
	var before []event.Event
	if age := time.Since(r.since); !r.since.IsZero() && age > 0 {
		var sure bool
		// The Date of an answer has whole seconds.
		if said, sure = saidSince(l.items, l.now, age+2*time.Second); !sure {
			before = r.gap()
		}
	}
	old := map[string]bool{}
	for _, it := range said {
		old[it.key] = true
	}
	for i := range l.items {
		if !old[l.items[i].key] {
			l.items[i].events = nil
		}
	}
	r.m = mark{}
	if len(l.items) > 0 {
		r.m.Behind = l.items[0].place
	} else if p.byTime {
		r.m.Behind.Time = l.now.Add(-time.Duration(p.Overlap) - 2*time.Second).UnixMilli()
	}
	r.known = true
	if r.s.options.Began != nil {
		if err := r.s.options.Began(r.channel, r.from); err != nil {
			return err
		}
	}
	return r.publish(ctx, before, l.items, place{}, asked)
}

// fallBack reads the newest messages, where the app no longer knows the one behind
// which it was asked.
func (r *reading) fallBack(ctx context.Context) error {
	p := r.s.plan
	asked := time.Now()
	r.etags = nil
	v := values{channel: r.channel}
	if p.newest.uses("last", "time", "millis", "seconds") {
		v.last.Time = r.m.Behind.Time
	}
	l, err := r.ask(ctx, p.newest, v)
	if err != nil {
		return err
	}
	fresh, touches := r.m.fresh(l.items, p.byTime)
	var before []event.Event
	if len(l.items) > 0 { // what was seen is not enough: something may come late before it
		if order, known := l.items[0].compare(r.m.Behind, p.byTime); known && order > 0 {
			touches = false
		}
	}
	if !touches && len(l.items) >= small {
		before = r.gap()
	}
	for i := range l.items { // the newest that is before, and that the app knows
		if order, known := l.items[i].compare(r.m.Behind, p.byTime); i == 0 || known && order <= 0 {
			r.m.Behind = l.items[i].place
		}
	}
	return r.publish(ctx, before, fresh, place{}, asked)
}

// skip passes over what is too much, and tells so.
func (r *reading) skip(ctx context.Context) error {
	p := r.s.plan
	r.etags = nil
	asked := time.Now()
	l, err := r.ask(ctx, p.newest, values{channel: r.channel})
	if err != nil {
		return err
	}
	fresh, touches := r.m.fresh(l.items, p.byTime)
	before := r.gap()
	if touches {
		before = nil
	}
	if len(l.items) > 0 && !touches {
		r.m.Behind = l.items[0].place
	}
	return r.publish(ctx, before, fresh, place{}, asked)
}

// gap says that something may be missing in the channel here.
func (r *reading) gap() []event.Event {
	r.s.counts.gaps.Add(1)
	return []event.Event{gapEvent(r.channel)}
}

func gapEvent(channel string) event.Event {
	return event.Event{
		Channel: event.String(channel), Op: event.Gap, Type: string(event.IngestUncertain), Delivery: "gap:" + rand.Text(),
	}
}

// answered is a list with what else the answer says.
type answered struct {
	list
	top       place     // the newest
	count     int       // of items
	unchanged bool      // since it was asked for last; then the items are not there again
	now       time.Time // by the app's clock
}

// ask asks one page.
func (r *reading) ask(ctx context.Context, q *question, v values) (*answered, error) {
	p := r.s.plan
	req, err := p.request(q, v)
	if err != nil {
		return nil, &refused{status: http.StatusBadRequest, err: err}
	}
	before := r.etags[req.URI]
	if before.etag != "" {
		req.Header.Set("If-None-Match", before.etag)
	}
	if err := r.s.limiter.Wait(ctx); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, time.Duration(p.Timeout))
	defer cancel()
	a, err := r.s.options.Asker.Ask(limited, req)
	if err != nil {
		r.s.counts.ask("failed")
		return nil, &refused{err: err}
	}
	r.s.counts.ask(strconv.Itoa(a.Status))
	switch {
	case a.Status == http.StatusNotModified && before.etag != "":
		return &answered{top: before.top, count: before.items, unchanged: true}, nil
	case a.Status != http.StatusOK:
		return nil, &refused{status: a.Status, after: retryAfter(a.Header, time.Now())}
	}
	l, err := p.read(r.channel, a)
	if err != nil {
		return nil, &refused{status: a.Status, err: err}
	}
	r.s.counts.read(l)
	// Whoever posts what cannot be mapped must not hold up other channels.
	switch short, err := l.strange(); {
	case err != nil && r.known && short:
		r.s.mu.Lock()
		r.s.report("messages that the app lists cannot be mapped", "channel", r.channel, "error", err)
		r.s.mu.Unlock()
	case err != nil:
		return nil, &refused{status: http.StatusUnprocessableEntity, err: err}
	}
	if r.etags != nil {
		if len(r.etags) > 4 {
			clear(r.etags)
		}
		if etag := a.Header.Get("Etag"); etag != "" && len(etag) < 256 {
			r.etags[req.URI] = remembered{etag, newest(l.items), len(l.items)}
		}
	}
	out := &answered{list: *l, top: newest(l.items), count: len(l.items), now: time.Now()}
	if date, err := http.ParseTime(a.Header.Get("Date")); err == nil {
		out.now = date
	}
	return out, nil
}

// maxRetryAfter bounds what an app may ask for.
const maxRetryAfter = 10 * time.Minute

func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return min(time.Duration(min(n, 3600))*time.Second, maxRetryAfter)
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(0, min(t.Sub(now), maxRetryAfter))
	}
	return 0
}

// atOnce bounds the events of one commit.
const atOnce = 256

// publish stores what is new, with how far the channel is read, in one commit; much
// of it in several. A mark that does not change is not stored. top is as of advance.
func (r *reading) publish(ctx context.Context, before []event.Event, items []item, top place, asked time.Time) error {
	if err := r.settle(items); err != nil {
		return err
	}
	events := before
	for first := 0; ; {
		last := first
		for ; last < len(items) && len(events) < atOnce; last++ {
			events = append(events, items[last].events...)
		}
		m := r.m
		m.advance(items[first:last], top, asked, time.Duration(r.s.plan.Overlap), r.s.plan.byTime)
		if text := m.String(); len(events) > 0 || text != r.s.stored(r.channel) {
			if err := r.s.publish(ctx, r.channel, events, text); err != nil {
				return err
			}
		}
		r.m = m
		if first = last; first == len(items) {
			break
		}
		events = nil
	}
	r.fresh += len(items)
	return nil
}

// settle makes a new message of an edit of one that the log does not know: it was said
// and edited since the channel was read. One that was said and deleted is none.
func (r *reading) settle(items []item) error {
	for i := range items {
		var events []event.Event
		said := map[string]bool{}
		for _, e := range items[i].events {
			known := !e.Changes() || said[e.ID.Text]
			if !known && r.s.options.Knows != nil {
				var err error
				if known, err = r.s.options.Knows(e.Channel.Text, e.ID.Text); err != nil {
					return err
				}
				known = known || slices.ContainsFunc(items[:i], func(it item) bool {
					return slices.ContainsFunc(it.events, func(o event.Event) bool { return o.ID.Text == e.ID.Text })
				})
			}
			switch {
			case known:
			case e.Op == event.Delete:
				continue
			default:
				e.Op, e.Version = event.Create, ""
			}
			events = append(events, e)
			said[e.ID.Text] = true
		}
		items[i].events = events
	}
	return nil
}
