package stream

import (
	"github.com/seed-078801ba/sidestream/stream/event"
)

// Shown bounds how much of the past is shown to a client, so that replay gives
// nothing that the app itself would not show to it. A nil Shown bounds nothing.
type Shown struct {
	epoch event.Epoch
	// after has the position behind which each channel is shown. A channel that
	// is not in it is shown whole.
	after map[string]uint64
}

// ShowNothing shows nothing of what is past in the channels.
func (h *Hub) ShowNothing(channels []string) *Shown {
	head := h.Head()
	s := &Shown{epoch: head.Epoch, after: make(map[string]uint64, len(channels))}
	for _, name := range channels {
		s.after[name] = head.Seq
	}
	return s
}

// bound moves a start to where the client may be shown each channel from, and
// tells of every channel in which something is left out by that. Positions of
// another epoch than the head's say nothing: then nothing of the past is shown.
func (h *Hub) bound(start Start, channels []string, from From, head event.Cursor) (Start, error) {
	stands, err := event.ParseCursor(from.Cursor)
	if err != nil {
		stands = event.Cursor{}
	}
	behind := make(map[string]uint64, len(channels))
	var hidden []event.Missing
	next := ^uint64(0) // where the client then stands: at the least of its channels
	for _, name := range channels {
		begins := max(start.Seq, start.behind[name])
		if after := from.Shown.of(name, head); after > begins {
			found, _, err := h.log.Read([]string{name}, begins, after, 1, 1)
			if err != nil {
				return Start{}, err
			}
			if len(found) > 0 {
				to, err := h.cursorOf(after, head.Epoch)
				if err != nil {
					return Start{}, err
				}
				hidden = append(hidden, event.Missing{Channel: name, From: stands, To: to, Reason: event.Trimmed})
			}
			begins = after
		}
		behind[name] = begins
		next = min(next, begins)
	}
	if next > start.Seq && len(channels) > 0 {
		start.Seq = next
	}
	start.behind = behind
	at, err := h.cursorOf(start.Seq, head.Epoch)
	if err != nil {
		return Start{}, err
	}
	for i := range hidden {
		hidden[i].At = at
	}
	start.Missing = append(start.Missing[:len(start.Missing):len(start.Missing)], hidden...)
	return start, nil
}

// of is the position behind which the channel is shown.
func (s *Shown) of(channel string, head event.Cursor) uint64 {
	after, bounded := s.after[channel]
	switch {
	case !bounded:
		return 0
	case s.epoch != head.Epoch:
		return head.Seq
	}
	return min(after, head.Seq)
}
