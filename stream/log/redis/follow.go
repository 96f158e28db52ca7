package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
)

const (
	// followEvents is how many entries are read from the feed at once.
	followEvents = 256
	// minRetry and maxRetry bound the pause before Redis is tried again.
	minRetry = 20 * time.Millisecond
	maxRetry = time.Second
	// redialAfter is for how many probes in a row nothing may work before the
	// client is made anew.
	redialAfter = 5
)

// Follow implements Shared. It has one connection of its own, on which it
// writes a probe and then reads the feed, again and again: that Redis takes
// writes, knows what this process has seen, and answers, is proven by the very
// connection that brings the entries.
//
// With an after that has no epoch, it begins with a Reset to the newest entry.
func (r *Log) Follow(ctx context.Context, after event.Cursor, f log.Follower) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.life, cancel)()
	t := &tail{r: r, f: f, at: after}
	backoff, since := redisconn.Backoff{First: minRetry, Last: maxRetry}, time.Now()
	for {
		link, err := r.dial(ctx)
		t.worked, t.hung = false, false
		if err == nil {
			err = t.session(ctx, link.Client)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// A connection that is cut is made again before anybody is troubled.
		if err != nil && (!t.worked || t.hung || t.broken != nil) {
			t.tell(err)
		}
		if t.broken != nil {
			return t.broken
		}
		if t.worked {
			backoff.Reset()
			since = time.Now()
		} else if time.Since(since) > redialAfter*r.options.Probe {
			r.redial()
			since = time.Now()
		}
		if !backoff.Wait(ctx) {
			return ctx.Err()
		}
	}
}

// tail is one Follow.
type tail struct {
	r      *Log
	f      log.Follower
	at     event.Cursor // what the follower has
	told   bool         // the follower was told that Redis is connected
	causes []string     // why not, as far as told since then
	worked bool         // this session has reached Redis
	hung   bool         // this session waited for an answer in vain
	broken error        // nothing can mend this
}

// maxCauses bounds how many causes of one outage are told.
const maxCauses = 8

// tell says whether Redis is connected, and why not, if that is news.
func (t *tail) tell(err error) {
	cause := t.r.lose(err)
	switch {
	case cause == nil:
		t.causes = nil
		if !t.told {
			t.told = true
			t.f.Connected(nil)
		}
	case !slices.Contains(t.causes, cause.Text) && len(t.causes) < maxCauses:
		t.told, t.causes = false, append(t.causes, cause.Text)
		t.f.Connected(cause)
	default:
		t.told = false
	}
}

// session follows over one connection until it fails.
func (t *tail) session(ctx context.Context, client rueidis.Client) error {
	conn, release := client.Dedicate()
	defer release()
	defer conn.Close()
	defer context.AfterFunc(ctx, conn.Close)()
	var head event.Cursor
	var probed time.Time
	for {
		if head.Epoch == (event.Epoch{}) || time.Since(probed) >= t.r.options.Probe {
			probed = time.Now()
			s, err := t.probe(ctx, conn)
			if err != nil {
				return err
			}
			head = s.head
			t.worked = true
			t.tell(nil)
		}
		entries, err := t.read(ctx, conn)
		if err != nil {
			return err
		}
		switch {
		case len(entries) == 0 && head.Seq <= t.at.Seq:
		case len(entries) == 0 || entries[0].Seq != t.at.Seq+1:
			upto := head.Seq
			if len(entries) > 0 {
				upto = entries[0].Seq - 1
			}
			changed, err := t.changed(ctx, conn, upto)
			if err != nil {
				return err
			}
			if len(changed) > 0 {
				t.deliver(changed)
				continue
			}
			// The feed no longer reaches back to here.
			s, err := t.probe(ctx, conn)
			if err != nil {
				return err
			}
			if head, probed = s.head, time.Now(); s.same {
				t.reset(head, event.Trimmed)
			}
		default:
			t.deliver(entries)
		}
	}
}

// probe has Redis write something on this connection, and compares where the
// log stands with where this process stands.
func (t *tail) probe(ctx context.Context, conn rueidis.DedicatedClient) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, max(2*t.r.options.Probe, time.Second))
	defer cancel()
	known := t.at
	t.r.mu.Lock()
	if t.r.head.Epoch == known.Epoch && t.r.head.Seq > known.Seq {
		known = t.r.head // this process has appended it, and not seen it here yet
	}
	t.r.mu.Unlock()
	s, err := t.r.state(ctx, conn, known)
	if err != nil {
		t.hung = ctx.Err() != nil
		return s, err
	}
	if !s.same {
		t.r.announce(s)
		t.reset(s.head, event.EpochChanged)
		return s, nil
	}
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	if t.r.head.Epoch != s.head.Epoch { // Open did not reach Redis
		t.r.head = s.head
	}
	t.r.advance(s.head)
	t.r.learn(s)
	return s, nil
}

// reset begins anew after head.
func (t *tail) reset(head event.Cursor, reason event.Reason) {
	t.at = head
	t.f.Reset(head, reason)
}

// read waits for entries behind the follower's place, for one probe's time.
func (t *tail) read(ctx context.Context, conn rueidis.DedicatedClient) ([]event.Entry, error) {
	block := t.r.options.Probe
	ctx, cancel := context.WithTimeout(ctx, block+max(block, time.Second))
	defer cancel()
	feed := t.r.keys[keyFeed]
	cmd := conn.B().Xread().Count(followEvents).Block(block.Milliseconds()).Streams().Key(feed).
		Id(strconv.FormatUint(t.at.Seq, 10) + "-0").Build()
	found, err := conn.Do(ctx, cmd).AsXRead()
	if rueidis.IsRedisNil(err) {
		return nil, nil
	}
	if err != nil {
		t.hung = ctx.Err() != nil
		return nil, t.r.wrap("following the feed in Redis", err)
	}
	entries := make([]event.Entry, 0, len(found[feed]))
	for _, e := range found[feed] {
		id, _, _ := strings.Cut(e.ID, "-")
		seq, err := strconv.ParseUint(id, 10, 64)
		if err != nil {
			return nil, errReply("feed", err)
		}
		entry, err := parseEntry(seq, e.FieldValues["t"], e.FieldValues["a"], e.FieldValues["e"])
		if err != nil {
			t.broken = fmt.Errorf("following the feed: %w", err)
			return nil, t.broken
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// changed are the next entries, if they left the feed because edits or deletions have
// changed them.
func (t *tail) changed(ctx context.Context, conn rueidis.DedicatedClient, upto uint64) ([]event.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, t.r.options.Timeout)
	defer cancel()
	from := t.at.Seq + 1
	args := []string{t.at.Epoch.String(), "rewritten", strconv.FormatUint(from, 10), strconv.FormatUint(min(upto, from+followEvents-1), 10)}
	reply, err := findScript.run(ctx, conn, t.r.keys, args)
	if err != nil {
		t.hung = ctx.Err() != nil
		return nil, t.r.wrap("reading what the feed lacks in Redis", err)
	}
	if len(reply) < 2 {
		return nil, nil // none, or it is of another epoch
	}
	entries := make([]event.Entry, 0, len(reply)-1)
	for i := range reply[1:] {
		text, err := reply[1+i].ToString()
		if err != nil {
			return nil, errReply("entry", err)
		}
		entry, _, err := unpack(from+uint64(i), text)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// deliver hands on the entries that follow each other.
func (t *tail) deliver(entries []event.Entry) {
	for i := range entries {
		if entries[i].Seq != t.at.Seq+1+uint64(i) {
			entries = entries[:i] // the next read begins at the hole
			break
		}
	}
	last := entries[len(entries)-1]
	t.at.Seq, t.at.Tag = last.Seq, last.Tag
	t.r.mu.Lock()
	t.r.advance(t.at)
	t.r.mu.Unlock()
	t.f.Entries(entries, t.at)
}
