package stream

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// right is since when a user may listen to a channel, as far as that was seen.
// It is kept in the log's marks: so it survives what the events survive, and is
// the same on all nodes that share a log.
type right struct {
	epoch event.Epoch // of the positions
	// start is the position of what is before it: everything after is shown.
	start uint64
	// ended is where the right was found to be taken away; 0 while it stands.
	ended uint64
	// scanned is up to where the user's own joins and leaves were looked for.
	scanned uint64
}

// source is the name of the mark that a right is kept in. The user's length is
// in it, so that no two rights have the same name.
func (*right) source(user, channel string) string {
	return "right:" + strconv.Itoa(len(user)) + ":" + user + ":" + channel
}

func (r *right) String() string {
	return fmt.Sprintf("%s %d %d %d", r.epoch, r.start, r.ended, r.scanned)
}

// parseRight reads what String wrote. Anything else is no right: then nothing of
// the past is shown.
func parseRight(text string) (r right, ok bool) {
	epoch, rest, _ := strings.Cut(text, " ")
	c, err := event.ParseCursor(epoch + ".0." + event.Tag(0).String())
	if err != nil {
		return right{}, false
	}
	r.epoch = c.Epoch
	n, err := fmt.Sscanf(rest, "%d %d %d", &r.start, &r.ended, &r.scanned)
	return r, err == nil && n == 3
}

// rights are those that are being written, and how far they were scanned.
type rights struct {
	mu      sync.Mutex
	pending map[string]right  // not in the log's marks yet
	scanned map[string]uint64 // more than the mark says
	closed  bool
	work    sync.WaitGroup // for what writes in the background
}

// maxRights bounds what is remembered beside the marks.
const maxRights = 100_000

// close waits for what is being written.
func (rs *rights) close() {
	rs.mu.Lock()
	rs.closed = true
	rs.mu.Unlock()
	rs.work.Wait()
}

// ShowSince bounds the past to what was said since the user's right to listen
// to each of the channels began: with the user's own join, where the log has
// it, and otherwise when the right was first seen here. Call it when the backend
// has said that the user may listen; channels of the user's own are not bounded.
//
// What cannot be found out is not shown: without a user nothing is, and where a
// right began that was taken away meanwhile, only what came after that.
func (h *Hub) ShowSince(ctx context.Context, user string, channels []string) (*Shown, error) {
	if user == "" {
		return h.ShowNothing(channels), nil
	}
	head := h.Head()
	s := &Shown{epoch: head.Epoch, after: make(map[string]uint64, len(channels))}
	var writes sync.WaitGroup // side by side they share a commit
	defer writes.Wait()
	for _, channel := range channels {
		if channel == event.UserChannel(user) {
			continue
		}
		r, changed, err := h.right(user, channel, head)
		if err != nil {
			return nil, fmt.Errorf("looking up since when a user may listen: %w", err)
		}
		s.after[channel] = r.start
		if changed {
			writes.Go(func() { h.keep(ctx, user, channel, r) })
		}
	}
	return s, nil
}

// RightEnded says that the backend has denied the channel to the user. When the
// user may listen again, what was said in between is not shown. It does not
// wait.
func (h *Hub) RightEnded(user, channel string) {
	if user == "" || channel == event.UserChannel(user) {
		return
	}
	rs := &h.rights
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.closed {
		return
	}
	rs.work.Go(func() {
		r, known, err := h.loadRight(user, channel)
		head := h.Head()
		if err == nil && (!known || r.ended > 0 || r.epoch != head.Epoch) {
			return // nothing is known of it that could be shown
		}
		r.epoch, r.ended = head.Epoch, max(head.Seq, 1)
		h.keep(context.Background(), user, channel, r)
	})
}

// right finds or begins the right of a user who may listen.
func (h *Hub) right(user, channel string, head event.Cursor) (r right, changed bool, err error) {
	r, known, err := h.loadRight(user, channel)
	if err != nil {
		return right{}, false, err
	}
	source := r.source(user, channel)
	h.rights.mu.Lock()
	scanned := max(r.scanned, h.rights.scanned[source])
	h.rights.mu.Unlock()
	from := max(r.start, scanned)
	began := !known || r.epoch != head.Epoch || r.ended > 0
	switch {
	case !known, r.epoch != head.Epoch:
		from = 0
	case r.ended > 0:
		from = r.ended
	}
	last, joined, err := h.ownMembership(user, channel, from, head.Seq)
	if err != nil {
		return right{}, false, err
	}
	switch {
	case joined:
		r, changed = right{start: last - 1}, true
	case began, last > 0: // seen now for the first time, or for the first time after a leave
		r, changed = right{start: head.Seq}, true
	}
	r.epoch, r.scanned = head.Epoch, head.Seq
	h.rights.mu.Lock()
	if len(h.rights.scanned) >= maxRights {
		h.rights.scanned = nil
	}
	if h.rights.scanned == nil {
		h.rights.scanned = map[string]uint64{}
	}
	h.rights.scanned[source] = head.Seq
	h.rights.mu.Unlock()
	return r, changed, nil
}

// ownMembership finds the last place in the channel where the user joined or
// left; 0 if there is none.
func (h *Hub) ownMembership(user, channel string, after, upto uint64) (last uint64, joined bool, err error) {
	for after < upto {
		entries, more, err := h.log.Read([]string{channel}, after, upto, 512, 1<<20)
		if err != nil {
			return 0, false, err
		}
		for i := range entries {
			e := &entries[i]
			if e.Op != event.Create || e.User.Text != user {
				continue
			}
			switch e.Type {
			case "EnterMessage":
				last, joined = e.Seq, true
			case "LeaveMessage", "KickMessage":
				last, joined = e.Seq, false
			}
		}
		if !more || len(entries) == 0 {
			break
		}
		after = entries[len(entries)-1].Seq
	}
	return last, joined, nil
}

// loadRight reads what is known of a right.
func (h *Hub) loadRight(user, channel string) (r right, known bool, err error) {
	source := r.source(user, channel)
	h.rights.mu.Lock()
	r, known = h.rights.pending[source]
	h.rights.mu.Unlock()
	if known {
		return r, true, nil
	}
	text, err := h.log.Mark(source)
	if err != nil {
		return right{}, false, err
	}
	r, known = parseRight(text)
	return r, known, nil
}

// keep writes a right to the log's marks. What cannot be written is remembered
// here for as long as there is room; after that, less is shown and not more.
func (h *Hub) keep(ctx context.Context, user, channel string, r right) {
	source := r.source(user, channel)
	rs := &h.rights
	rs.mu.Lock()
	if rs.pending == nil || len(rs.pending) >= maxRights {
		rs.pending = map[string]right{}
	}
	rs.pending[source] = r
	rs.mu.Unlock()
	_, err := h.Publish(ctx, event.Batch{Mark: &event.Mark{Source: source, Value: r.String()}})
	if err != nil {
		h.config().Logger.Debug("since when a user may listen was not stored", "hub", h.name, "channel", channel, "error", err)
		return
	}
	rs.mu.Lock()
	if rs.pending[source] == r {
		delete(rs.pending, source)
	}
	rs.mu.Unlock()
}
