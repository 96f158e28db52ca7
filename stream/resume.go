package stream

import (
	"fmt"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// From says where a client wants to begin. The first one that is set counts.
type From struct {
	// Cursor is what the client holds, as text: a stranger's.
	Cursor string
	// MessageID is the backend's id of the last message that it has seen; or a
	// cursor, which formats give as the id of messages that have none.
	MessageID string
	// Since asks for the recent past.
	Since time.Duration
	// Oldest: where something is missing, go on from the oldest event that is
	// left, instead of now.
	Oldest bool
	// Shown bounds how much of the past the client is shown, whatever it asks
	// for; nil if nothing does.
	Shown *Shown
}

// Start is where a stream begins.
type Start struct {
	// Seq: everything after it will be delivered.
	Seq uint64
	// Missing is told to the client first.
	Missing []event.Missing
	// Asked: the client named a place, so it understands that something may be
	// missing there.
	Asked bool

	epoch  event.Epoch // Seq is a position of it
	head   uint64      // where the hub was: what was uncertain then is in Missing
	gap    bool        // behind Seq stands a gap, which the stream tells of in its place
	oldest bool
	told   uint64            // what is missing up to here needs no signal
	behind map[string]uint64 // of channels that begin later than Seq
}

// At is where a channel begins: everything after it will be delivered.
func (s Start) At(channel string) uint64 { return max(s.Seq, s.behind[channel]) }

// begin has a channel begin at a position, which is not before Seq.
func (s *Start) begin(channel string, at uint64) {
	if at <= s.Seq {
		return
	}
	if s.behind == nil {
		s.behind = map[string]uint64{}
	}
	s.behind[channel] = at
}

// Resume is the value of the Stream-Resume response header; empty if the
// client named no place.
func (s Start) Resume() string {
	switch {
	case !s.Asked:
		return ""
	case len(s.Missing) > 0:
		return "gap;reason=" + string(s.Missing[0].Reason)
	case s.gap:
		return "gap;reason=" + string(event.IngestUncertain)
	}
	return "complete"
}

// Resolve finds where a stream of these channels begins. What it says stays
// true until the stream is attached, however long that takes.
func (h *Hub) Resolve(channels []string, from From) (Start, error) {
	heard := h.expect(channels)
	return h.resolve(channels, from, heard)
}

// Preview is Resolve for somebody who opens no stream: nothing is kept in memory
// for the channels, and no source is told of them.
func (h *Hub) Preview(channels []string, from From) (Start, error) {
	return h.resolve(channels, from, true)
}

func (h *Hub) resolve(channels []string, from From, heard bool) (Start, error) {
	start, head, err := h.find(channels, from)
	if err == nil && from.Shown != nil {
		start, err = h.bound(start, channels, from, head)
	}
	if err == nil {
		start, err = h.doubt(channels, start, from, head, heard)
	}
	if err != nil {
		return Start{}, fmt.Errorf("looking up where to begin: %w", err)
	}
	return start, nil
}

// find finds the place that a client asks for, and says where the head was then.
func (h *Hub) find(channels []string, from From) (Start, event.Cursor, error) {
	head := h.Head()
	if head.Epoch == (event.Epoch{}) || h.follower != nil && h.follower.degraded.Load() {
		return Start{}, head, event.ErrUnavailable // a shared log that was never reached, or not for long
	}
	if from.Cursor == "" {
		if _, err := event.ParseCursor(from.MessageID); err == nil {
			from.Cursor = from.MessageID
		}
	}
	var start Start
	var later event.Cursor
	var err error
	switch {
	case from.Cursor != "":
		start, later, err = h.resolveCursor(channels, from, head)
	case from.MessageID != "":
		start, later, err = h.resolveMessage(channels, from, head)
	case from.Since > 0:
		var seq uint64
		seq, err = h.log.SeqBefore(time.Now().Add(-from.Since))
		// The recent past is given as far as it is kept: nobody was promised more.
		start = Start{Seq: min(seq, head.Seq), Asked: true, oldest: true, told: head.Seq}
	default:
		start = Start{Seq: head.Seq, oldest: from.Oldest}
	}
	if err == nil && later.Seq > 0 {
		if err = h.untilShown(later); err == nil {
			return h.find(channels, from)
		}
	}
	start.epoch, start.head = head.Epoch, head.Seq
	return start, head, err
}

// resolveCursor begins at a cursor. What it returns as later has to be shown here
// first: another node has shown it already.
func (h *Hub) resolveCursor(channels []string, from From, head event.Cursor) (start Start, later event.Cursor, err error) {
	c, err := event.ParseCursor(from.Cursor)
	if err != nil {
		return h.lost(event.Cursor{}, from, head, event.EpochChanged), later, nil
	}
	ahead := c.Seq > head.Seq
	if c.Epoch != head.Epoch || ahead && h.follower == nil {
		return h.lost(c, from, head, event.EpochChanged), later, nil
	}
	if c.Seq > 0 {
		tag, known, err := h.log.TagAt(c.Seq)
		if err != nil {
			return Start{}, later, err
		}
		if known && tag != c.Tag || ahead && !known {
			return h.lost(c, from, head, event.EpochChanged), later, nil
		}
	}
	if ahead { // another node has shown it already
		return Start{}, c, nil
	}
	start, err = h.resolveSeq(channels, c, from, head)
	return start, later, err
}

// resolveMessage begins behind a message; later is as of resolveCursor.
func (h *Hub) resolveMessage(channels []string, from From, head event.Cursor) (start Start, later event.Cursor, err error) {
	var first uint64
	for _, name := range channels {
		seq, ok, err := h.log.SeqOf(name, from.MessageID)
		if err == nil && !ok {
			seq, ok, err = h.versioned(name, from.MessageID, head)
		}
		if err != nil {
			return Start{}, later, err
		}
		// Flowdock's ids were unique within one flow only: where two channels
		// know the id, the client may have seen only the first of the two.
		if ok && (first == 0 || seq < first) {
			first = seq
		}
	}
	if first == 0 {
		return h.lost(event.Cursor{}, from, head, event.Trimmed), later, nil
	}
	if first > head.Seq && h.follower != nil {
		return Start{}, event.Cursor{Epoch: head.Epoch, Seq: first}, nil
	}
	found, err := h.cursorOf(min(first, head.Seq), head.Epoch) // it may be stored and not yet shown
	if err != nil {
		return Start{}, later, err
	}
	start, err = h.resolveSeq(channels, found, from, head)
	return start, later, err
}

// untilShown waits until everything up to c, which a shared log holds, is shown
// here, or c's epoch is over.
func (h *Hub) untilShown(c event.Cursor) error {
	shown := make(chan struct{})
	h.follower.await(c, func() { close(shown) })
	timeout := time.NewTimer(sharedWait)
	defer timeout.Stop()
	select {
	case <-shown:
		return nil
	case <-timeout.C:
		return event.ErrUnavailable
	case <-h.closing:
		return event.ErrClosed
	}
}

// cursorOf is the cursor of a position, without a tag if the log knows it no
// longer.
func (h *Hub) cursorOf(seq uint64, epoch event.Epoch) (event.Cursor, error) {
	tag, _, err := h.log.TagAt(seq)
	return event.Cursor{Epoch: epoch, Seq: seq, Tag: tag}, err
}

// resolveSeq begins at a position of this epoch, if everything after it is
// still there.
func (h *Hub) resolveSeq(channels []string, c event.Cursor, from From, head event.Cursor) (Start, error) {
	start := Start{Seq: c.Seq, Asked: true, oldest: from.Oldest}
	missing, err := h.trimmed(channels, c, func(string) uint64 { return c.Seq })
	switch {
	case err != nil:
		return Start{}, err
	case len(missing) == 0:
		return start, nil
	case !from.Oldest:
		return h.lost(c, from, head, event.Trimmed), nil
	}
	start.Missing, start.Seq = missing, missing[len(missing)-1].At.Seq
	for _, m := range missing {
		start.begin(m.Channel, m.To.Seq)
	}
	return start, nil
}

// trimmed is what a client that stands at c misses of its channels because it
// is no longer kept. behind is how far it has, or was told of, each channel.
func (h *Hub) trimmed(channels []string, c event.Cursor, behind func(channel string) uint64) ([]event.Missing, error) {
	var missing []event.Missing
	next := ^uint64(0) // the least of what it then has of each channel
	for _, name := range channels {
		upto := max(c.Seq, behind(name))
		trimmed, err := h.log.Trimmed(name)
		if err != nil {
			return nil, err
		}
		if trimmed > upto {
			to, err := h.cursorOf(trimmed, c.Epoch)
			if err != nil {
				return nil, err
			}
			missing = append(missing, event.Missing{Channel: name, From: c, To: to, Reason: event.Trimmed})
			upto = trimmed
		}
		next = min(next, upto)
	}
	if len(missing) == 0 {
		return nil, nil
	}
	at := c
	if next > c.Seq {
		var err error
		if at, err = h.cursorOf(next, c.Epoch); err != nil {
			return nil, err
		}
	}
	// Until it was told of the last one, a client stands where it was.
	for i := range missing {
		missing[i].At = c
	}
	missing[len(missing)-1].At = at
	return missing, nil
}

// lost begins anew, with a gap signal for every channel.
func (h *Hub) lost(c event.Cursor, from From, head event.Cursor, reason event.Reason) Start {
	start := Start{Seq: head.Seq, Asked: true, oldest: from.Oldest}
	to := head
	if from.Oldest {
		start.Seq, to = 0, event.Cursor{Epoch: head.Epoch}
	}
	start.Missing = []event.Missing{{From: c, To: to, Reason: reason}}
	return start
}

// isVersioned tells whether an event is a new message that the log finds by its
// version only, as one of CloudEvents, where a message is known by its source and id
// together.
func isVersioned(e *event.Event) bool {
	return e.Op == event.Create && !e.ID.IsZero() && e.Version != ""
}

// versionedMark is the name of the mark that a channel has such messages.
func versionedMark(channel string) string { return "versioned:" + channel }

// versionedEntries bounds how many of a channel's entries are looked through
// for such a message.
const versionedEntries = 20_000

// versioned finds a message of whatever version: the oldest one that is kept, so that
// nothing is left out where several versions have the id.
func (h *Hub) versioned(channel, id string, head event.Cursor) (seq uint64, ok bool, err error) {
	if mark, err := h.log.Mark(versionedMark(channel)); mark == "" || err != nil {
		return 0, false, err
	}
	after, more := uint64(0), true
	for n := 0; more && n < versionedEntries; {
		var entries []event.Entry
		if entries, more, err = h.log.Read([]string{channel}, after, head.Seq, pageEvents, pageBytes); err != nil {
			return 0, false, err
		}
		for i := range entries {
			e := &entries[i]
			if e.ID.Text == id && isVersioned(&e.Event) {
				return e.Seq, true, nil
			}
			after = e.Seq
		}
		if n += len(entries); len(entries) == 0 {
			break
		}
	}
	return 0, false, nil
}
