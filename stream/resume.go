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

	oldest bool
	told   uint64 // what is missing up to here needs no signal
}

// Resume is the value of the Stream-Resume response header; empty if the
// client named no place.
func (s Start) Resume() string {
	switch {
	case !s.Asked:
		return ""
	case len(s.Missing) > 0:
		return "gap;reason=" + string(s.Missing[0].Reason)
	}
	return "complete"
}

// Resolve finds where a stream of these channels begins. What it says stays
// true until the stream is attached, however long that takes.
func (h *Hub) Resolve(channels []string, from From) (Start, error) {
	h.mu.Lock()
	for _, name := range channels {
		h.channel(name) // so that whoever brings events in on demand begins now
	}
	h.mu.Unlock()
	head := h.Head()
	if head.Epoch == (event.Epoch{}) { // a shared log that was never reached
		return Start{}, event.ErrUnavailable
	}
	var start Start
	var err error
	if from.Cursor == "" {
		if _, err := event.ParseCursor(from.MessageID); err == nil {
			from.Cursor = from.MessageID
		}
	}
	switch {
	case from.Cursor != "":
		start, err = h.resolveCursor(channels, from, head)
	case from.MessageID != "":
		start, err = h.resolveMessage(channels, from, head)
	case from.Since > 0:
		var seq uint64
		seq, err = h.log.SeqBefore(time.Now().Add(-from.Since))
		// The recent past is given as far as it is kept: nobody was promised more.
		start = Start{Seq: min(seq, head.Seq), Asked: true, oldest: true, told: head.Seq}
	default:
		start = Start{Seq: head.Seq, oldest: from.Oldest}
	}
	if err != nil {
		return Start{}, fmt.Errorf("looking up where to begin: %w", err)
	}
	return start, nil
}

func (h *Hub) resolveCursor(channels []string, from From, head event.Cursor) (Start, error) {
	c, err := event.ParseCursor(from.Cursor)
	if err != nil {
		return h.lost(event.Cursor{}, from, head, event.EpochChanged), nil
	}
	if c.Epoch != head.Epoch || c.Seq > head.Seq {
		return h.lost(c, from, head, event.EpochChanged), nil
	}
	if c.Seq > 0 {
		tag, known, err := h.log.TagAt(c.Seq)
		if err != nil {
			return Start{}, err
		}
		if known && tag != c.Tag {
			return h.lost(c, from, head, event.EpochChanged), nil
		}
	}
	return h.resolveSeq(channels, c, from, head)
}

func (h *Hub) resolveMessage(channels []string, from From, head event.Cursor) (Start, error) {
	found := event.Cursor{Epoch: head.Epoch}
	for _, name := range channels {
		seq, ok, err := h.log.SeqOf(name, from.MessageID)
		if err != nil {
			return Start{}, err
		}
		if ok {
			found.Seq = max(found.Seq, seq)
		}
	}
	if found.Seq == 0 {
		return h.lost(event.Cursor{}, from, head, event.Trimmed), nil
	}
	if tag, ok, err := h.log.TagAt(found.Seq); err != nil {
		return Start{}, err
	} else if ok {
		found.Tag = tag
	}
	found.Seq = min(found.Seq, head.Seq) // it may be stored and not yet shown
	return h.resolveSeq(channels, found, from, head)
}

// resolveSeq begins at a position of this epoch, if everything after it is
// still there.
func (h *Hub) resolveSeq(channels []string, c event.Cursor, from From, head event.Cursor) (Start, error) {
	start := Start{Seq: c.Seq, Asked: true, oldest: from.Oldest}
	for _, name := range channels {
		trimmed, err := h.log.Trimmed(name)
		if err != nil {
			return Start{}, err
		}
		if trimmed <= c.Seq {
			continue
		}
		if !from.Oldest {
			return h.lost(c, from, head, event.Trimmed), nil
		}
		start.Missing = append(start.Missing, event.Missing{
			Channel: name, From: c, To: event.Cursor{Epoch: head.Epoch, Seq: trimmed}, Reason: event.Trimmed,
		})
	}
	return start, nil
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
