package redis

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
)

const (
	// claimEvery is how often a member looks for entries that another has left.
	claimEvery = 10 * time.Second
	// claimIdle is how long an entry must have been left.
	claimIdle = 30 * time.Second
	// maxDeliveries is how often an entry may be given to somebody. One that
	// was never acknowledged after so many goes to the stream of the dead.
	maxDeliveries = 5
	// deadSuffix ends the name of the stream of the dead.
	deadSuffix = ":dead"
	// groupMark remembers that entries were read; Redis knows which.
	groupMark = "group"
)

// followGroup reads as a member of a consumer group. The entries of members that
// have died come to the others; the log knows which of them it has already.
func (r *reader) followGroup(ctx context.Context, b *redisconn.Backoff) error {
	if err := r.joinGroup(ctx); err != nil {
		return err
	}
	var claimed time.Time
	for {
		r.alive(b)
		if now := time.Now(); now.Sub(claimed) >= claimEvery {
			claimed = now
			if err := r.claim(ctx); err != nil {
				return err
			}
		}
		if err := r.readGroup(ctx); err != nil {
			return err
		}
	}
}

func (r *reader) consumer() string {
	if r.s.plan.Consumer != "" {
		return r.s.plan.Consumer
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "sidestream"
}

// joinGroup makes the group, if it is not there. One that was there before has
// gone with the stream, and with it what had not been read.
func (r *reader) joinGroup(ctx context.Context) error {
	if !r.ready && r.s.options.Mark != nil {
		mark, err := r.s.options.Mark(r.s.source)
		if err != nil {
			return fmt.Errorf("reading whether the stream was read: %w", err)
		}
		r.ready = mark != ""
	}
	call, cancel := r.timeout(ctx)
	defer cancel()
	start := "$"
	if r.s.plan.Start == startZero || r.ready {
		start = "0"
	}
	c := r.link.Client
	err := c.Do(call, c.B().XgroupCreate().Key(r.s.plan.Stream).Group(r.s.plan.Group).Id(start).Mkstream().Build()).Error()
	e, ok := rueidis.IsRedisErr(err)
	switch {
	case ok && strings.HasPrefix(e.Error(), "BUSYGROUP"):
	case err != nil:
		return fmt.Errorf("creating group %q of stream %q: %w", r.s.plan.Group, r.s.plan.Stream, err)
	case r.ready:
		r.w.lost()
	}
	r.ready = true
	return nil
}

// readGroup reads entries that nobody was given yet, stores and acknowledges
// them.
func (r *reader) readGroup(ctx context.Context) error {
	delivered, err := r.delivered(ctx)
	if err != nil {
		return err
	}
	call, cancel := r.timeout(ctx)
	defer cancel()
	plan, c := r.s.plan, r.link.Client
	res, err := c.Do(call, c.B().Xreadgroup().Group(plan.Group, r.consumer()).Count(entriesAtOnce).
		Block(r.patience().Milliseconds()).Streams().Key(plan.Stream).Id(">").Build()).AsXRead()
	if err != nil && !rueidis.IsRedisNil(err) {
		return fmt.Errorf("reading stream %q as group %q: %w", plan.Stream, plan.Group, err)
	}
	entries := res[plan.Stream]
	if len(entries) == 0 {
		return nil
	}
	if (delivered != streamID{}) {
		// Other members may have read on since, but they remove nothing: what is
		// gone was trimmed.
		info, present, err := r.look(ctx, delivered)
		if err != nil {
			return err
		}
		if !present || delivered.before(info.maxDeleted) {
			r.w.lost()
		}
	}
	return r.finish(ctx, entries)
}

// delivered is the id up to which the group's members were given entries.
func (r *reader) delivered(ctx context.Context) (streamID, error) {
	call, cancel := r.timeout(ctx)
	defer cancel()
	c, key := r.link.Client, r.s.plan.Stream
	groups, err := c.Do(call, c.B().XinfoGroups().Key(key).Build()).ToArray()
	if err != nil {
		return streamID{}, fmt.Errorf("looking at the groups of stream %q: %w", key, err)
	}
	for i := range groups {
		m, err := groups[i].AsMap()
		if err != nil {
			return streamID{}, fmt.Errorf("XINFO GROUPS: %w", err)
		}
		name := m["name"]
		if text, err := name.ToString(); err != nil || text != r.s.plan.Group {
			continue
		}
		var id streamID
		if err := readStreamID(m["last-delivered-id"], &id); err != nil {
			return streamID{}, fmt.Errorf("XINFO GROUPS: %w", err)
		}
		return id, nil
	}
	return streamID{}, r.joinGroup(ctx)
}

// finish stores entries and acknowledges them.
func (r *reader) finish(ctx context.Context, entries []rueidis.XRangeEntry) error {
	ids := make([]string, 0, len(entries))
	for i := range entries {
		ids = append(ids, entries[i].ID)
		if entries[i].FieldValues == nil {
			r.w.lost() // deleted before anybody has stored it
			continue
		}
		r.decode(&entries[i])
	}
	if len(entries) == 0 {
		return nil
	}
	if !r.w.flushStream(&event.Mark{Source: r.s.source, Value: groupMark}) {
		return errNotStored
	}
	return r.acknowledge(ctx, ids)
}

func (r *reader) acknowledge(ctx context.Context, ids []string) error {
	call, cancel := r.timeout(context.WithoutCancel(ctx))
	defer cancel()
	c := r.link.Client
	if err := c.Do(call, c.B().Xack().Key(r.s.plan.Stream).Group(r.s.plan.Group).Id(ids...).Build()).Error(); err != nil {
		return fmt.Errorf("acknowledging entries of stream %q: %w", r.s.plan.Stream, err)
	}
	return nil
}

// claim takes over entries that were given to somebody and not acknowledged for
// a while.
func (r *reader) claim(ctx context.Context) error {
	for start := "0-0"; ; {
		entries, deleted, next, err := r.autoclaim(ctx, start)
		if err != nil {
			return err
		}
		if deleted > 0 {
			r.w.lost()
		}
		kept := entries[:0]
		for _, entry := range entries {
			dead, err := r.bury(ctx, &entry)
			if err != nil {
				return err
			}
			if !dead {
				kept = append(kept, entry)
			}
		}
		if err := r.finish(ctx, kept); err != nil {
			return err
		}
		if next == "0-0" {
			return nil
		}
		start = next
	}
}

func (r *reader) autoclaim(ctx context.Context, start string) (entries []rueidis.XRangeEntry, deleted int, next string, err error) {
	call, cancel := r.timeout(ctx)
	defer cancel()
	plan, c := r.s.plan, r.link.Client
	reply, err := c.Do(call, c.B().Xautoclaim().Key(plan.Stream).Group(plan.Group).Consumer(r.consumer()).
		MinIdleTime(strconv.FormatInt(claimIdle.Milliseconds(), 10)).Start(start).Count(entriesAtOnce).Build()).ToArray()
	if err == nil && len(reply) < 2 {
		err = fmt.Errorf("a reply with %d parts", len(reply))
	}
	if err == nil {
		next, err = reply[0].ToString()
	}
	if err == nil {
		entries, err = reply[1].AsXRange()
	}
	if err != nil {
		return nil, 0, "", fmt.Errorf("taking over entries of stream %q: %w", plan.Stream, err)
	}
	if len(reply) > 2 { // since Redis 7
		gone, err := reply[2].ToArray()
		if err == nil {
			deleted = len(gone)
		}
	}
	return entries, deleted, next, nil
}

// bury moves an entry that nobody ever acknowledged to the stream of the dead.
func (r *reader) bury(ctx context.Context, entry *rueidis.XRangeEntry) (bool, error) {
	call, cancel := r.timeout(ctx)
	defer cancel()
	plan, c := r.s.plan, r.link.Client
	pending, err := c.Do(call, c.B().Xpending().Key(plan.Stream).Group(plan.Group).Start(entry.ID).End(entry.ID).Count(1).Build()).ToArray()
	if err != nil {
		return false, fmt.Errorf("asking how often an entry of stream %q was read: %w", plan.Stream, err)
	}
	if len(pending) == 0 {
		return false, nil
	}
	parts, err := pending[0].ToArray()
	if err != nil || len(parts) < 4 {
		return false, fmt.Errorf("XPENDING of stream %q: an unreadable reply", plan.Stream)
	}
	if n, err := parts[3].AsInt64(); err != nil || n <= maxDeliveries || entry.FieldValues == nil {
		return false, err
	}
	add := c.B().Xadd().Key(plan.Stream+deadSuffix).Id("*").FieldValue().FieldValue("sidestream-id", entry.ID)
	for name, value := range entry.FieldValues {
		add = add.FieldValue(name, value)
	}
	if err := c.Do(call, add.Build()).Error(); err != nil {
		return false, fmt.Errorf("adding to stream %q: %w", plan.Stream+deadSuffix, err)
	}
	r.s.counts.lost.Add(1)
	r.w.lost()
	r.s.trouble.report("an entry of the stream was given up", "id", entry.ID, "to", plan.Stream+deadSuffix)
	return true, r.acknowledge(ctx, []string{entry.ID})
}
