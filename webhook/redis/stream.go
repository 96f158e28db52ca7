package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

const (
	// entriesAtOnce bounds one read of a stream.
	entriesAtOnce = 128
	// lossPatience is how long a read waits for entries after a loss.
	lossPatience  = 250 * time.Millisecond
	troubleStream = "not reading the stream in Redis; trying again"
)

// reader reads a stream from a place that is stored with the events. It is one
// goroutine, and publishes itself: what it has not read stays in Redis.
type reader struct {
	s        *Source
	w        *worker
	link     *link
	progress progress // everything up to here is stored
	ready    bool     // progress is known
	told     told     // the last loss that was found while there was nothing to read
}

// told is what was known when a loss was told: nothing new, no new loss.
type told struct {
	id   streamID
	info streamInfo
}

// follow reads the stream until ctx ends or the hub is closed.
func (s *Source) follow(ctx context.Context) error {
	r := &reader{s: s, w: newWorker(s, ctx.Done())}
	drain, cancel := draining(ctx.Done())
	defer cancel()
	r.w.ctx = drain
	r.w.history = true // the mark is the reader's
	var b redisconn.Backoff
	for {
		err := r.session(ctx, &b)
		s.counts.connected.Store(false)
		switch {
		case r.w.closed:
			return event.ErrClosed
		case ctx.Err() != nil:
			return nil
		}
		s.counts.reconnects.Add(1)
		s.trouble.reportCause(troubleStream, s.plan.address.Explain(err).Text)
		if !b.Wait(ctx) {
			return nil
		}
	}
}

// session reads until something goes wrong.
func (r *reader) session(ctx context.Context, b *redisconn.Backoff) error {
	link, err := r.s.connect(ctx)
	if err != nil {
		return err
	}
	defer link.close()
	stop := context.AfterFunc(ctx, link.Cut)
	defer stop()
	r.link = link
	if r.s.plan.Group != "" {
		return r.followGroup(ctx, b)
	}
	if !r.ready {
		if err := r.begin(ctx); err != nil {
			return err
		}
		r.ready = true
	}
	for {
		r.alive(b)
		if err := r.read(ctx); err != nil {
			return err
		}
	}
}

// alive notes that Redis answers, and does what is to be done now and then.
func (r *reader) alive(b *redisconn.Backoff) {
	b.Reset()
	followed := r.s.queue.take(nil, maxNotes)
	for _, i := range followed {
		r.w.handle(&i)
	}
	if r.w.flushStream(nil) {
		for _, i := range followed {
			r.s.setReady(i.channel)
		}
	}
	for r.w.tell() {
	}
	r.s.counts.connected.Store(true)
	r.s.trouble.over(troubleStream, "reading the stream in Redis again")
}

// patience is how long one read waits for entries. It is short while streams of
// channels that were silent so far must hear of a loss: they wait for it as they
// open.
func (r *reader) patience() time.Duration {
	if r.s.hasLost(time.Now()) {
		return min(r.s.plan.probe, lossPatience)
	}
	return r.s.plan.probe
}

// timeout bounds a command that does not wait, or waits for one probe at most.
func (r *reader) timeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 2*r.s.plan.probe+time.Second)
}

// begin finds out where to begin.
func (r *reader) begin(ctx context.Context) error {
	var mark string
	if r.s.options.Mark != nil {
		var err error
		if mark, err = r.s.options.Mark(r.s.source); err != nil {
			return fmt.Errorf("reading how far the stream was read: %w", err)
		}
	}
	stored, known := parseProgress(mark)
	if mark != "" && !known {
		r.w.lost() // it was read as a group: how far is not known
	}
	switch {
	case known && r.s.plan.Start != startEnd:
		r.progress = stored
		return nil
	case r.s.plan.Start == startZero:
		r.progress = progress{ordinal: unknown}
		return nil
	}
	info, err := r.info(ctx)
	if err != nil {
		return err
	}
	r.progress = progress{info.last, info.added}
	if known && stored.id != r.progress.id {
		r.w.lost() // what was added in between is passed over
	}
	return r.store()
}

// read reads what comes next, and stores it.
func (r *reader) read(ctx context.Context) error {
	call, cancel := r.timeout(ctx)
	defer cancel()
	plan, before := r.s.plan, r.progress
	c := r.link.Client
	res, err := c.Do(call, c.B().Xread().Count(entriesAtOnce).Block(r.patience().Milliseconds()).
		Streams().Key(plan.Stream).Id(before.id.String()).Build()).AsXRead()
	if err != nil && !rueidis.IsRedisNil(err) {
		return fmt.Errorf("reading stream %q: %w", plan.Stream, err)
	}
	entries := res[plan.Stream]
	if n := len(entries); n > 0 {
		last, ok := parseStreamID(entries[n-1].ID)
		if !ok {
			return fmt.Errorf("stream %q: Redis sent an entry without an id", plan.Stream)
		}
		r.progress.id = last
	}
	if err := r.check(ctx, before, len(entries)); err != nil {
		r.progress = before
		return err
	}
	if len(entries) == 0 {
		return nil
	}
	for i := range entries {
		r.decode(&entries[i])
	}
	if err := r.store(); err != nil {
		r.progress = before
		return err
	}
	return nil
}

// check tells a gap if entries behind before were gone when the ones up to the
// place were read.
func (r *reader) check(ctx context.Context, before progress, read int) error {
	info, present, err := r.look(ctx, before.id)
	if err != nil {
		return err
	}
	v := judge(before, r.progress.id, read, info, present)
	again := read == 0 && r.told == (told{before.id, info})
	r.progress = v.progress
	if !v.lost || again {
		return nil
	}
	r.w.lost()
	if read == 0 {
		r.told = told{before.id, info}
		return r.store()
	}
	return nil
}

// look asks what is known of the stream, and whether an entry is in it.
func (r *reader) look(ctx context.Context, id streamID) (streamInfo, bool, error) {
	call, cancel := r.timeout(ctx)
	defer cancel()
	c, key := r.link.Client, r.s.plan.Stream
	found := c.Do(call, c.B().Xrange().Key(key).Start(id.String()).End(id.String()).Count(1).Build())
	entries, err := found.AsXRange()
	if err != nil {
		return streamInfo{}, false, fmt.Errorf("looking into stream %q: %w", key, err)
	}
	info, err := r.info(ctx)
	return info, len(entries) > 0, err
}

func (r *reader) info(ctx context.Context) (streamInfo, error) {
	call, cancel := r.timeout(ctx)
	defer cancel()
	c, key := r.link.Client, r.s.plan.Stream
	m, err := c.Do(call, c.B().XinfoStream().Key(key).Build()).AsMap()
	if rueidis.IsRedisNil(err) || isNoKey(err) {
		return streamInfo{added: unknown}, nil
	}
	if err != nil {
		return streamInfo{}, fmt.Errorf("looking at stream %q: %w", key, err)
	}
	return parseStreamInfo(m)
}

// isNoKey tells whether Redis said that a key does not exist.
func isNoKey(err error) bool {
	e, ok := rueidis.IsRedisErr(err)
	return ok && strings.Contains(e.Error(), "no such key")
}

// decode adds what an entry means to the batch.
func (r *reader) decode(entry *rueidis.XRangeEntry) {
	plan, c := r.s.plan, &r.s.counts
	c.received.Add(1)
	payload, ok := entry.FieldValues[plan.Field]
	switch {
	case !ok:
		c.addUnmapped(map[string]int{"the entry has no payload": 1})
		r.s.trouble.report("an entry of the stream has no payload", "field", plan.Field)
		return
	case int64(len(payload)) > plan.decoder.MaxBody():
		c.refused.Add(1)
		return
	}
	named := make(map[string]string, len(entry.FieldValues)+2)
	for name, value := range entry.FieldValues {
		named["field."+name] = value
	}
	named["id"], named["channel"] = entry.ID, plan.Stream
	r.w.add(decode.Input{
		Body: []byte(payload), Redis: named, Delivery: deliveryID(plan.Stream, "", entry.ID, payload),
	})
}

var errNotStored = errors.New("the log did not take the entries")

// store publishes the batch with the place up to which everything is then
// stored.
func (r *reader) store() error {
	if !r.w.flushStream(&event.Mark{Source: r.s.source, Value: r.progress.String()}) {
		return errNotStored
	}
	return nil
}

// flushStream publishes the batch with a mark. It tries until it succeeds or
// the source ends: the entries are safe in Redis.
func (w *worker) flushStream(mark *event.Mark) bool {
	if len(w.batch) == 0 && mark == nil {
		return true
	}
	ok := w.publish(event.Batch{Events: w.batch, Mark: mark}, func() bool { return false })
	if ok {
		w.sendRevocations()
	} else {
		w.revoke = nil
		w.lost() // the gaps of the batch were not told either
	}
	w.batch, w.messages = nil, 0
	return ok
}

// String is the place as the log remembers it: the id, and how many entries
// the stream has had up to there, if that is known.
func (p progress) String() string {
	if p.ordinal == unknown {
		return p.id.String()
	}
	return p.id.String() + " " + strconv.FormatInt(p.ordinal, 10)
}

// parseProgress reads what String wrote.
func parseProgress(s string) (progress, bool) {
	text, count, counted := strings.Cut(s, " ")
	id, ok := parseStreamID(text)
	p := progress{id, unknown}
	if counted {
		n, err := strconv.ParseInt(count, 10, 64)
		if err != nil || n < 0 {
			return progress{}, false
		}
		p.ordinal = n
	}
	return p, ok
}
