package stream

import (
	"context"
	"fmt"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// clearedWord begins the word that a channel was cleared.
const clearedWord = "\x00cleared "

// Clear removes all that is kept of a channel, from the log and from memory, on all
// hubs that share the log. Whoever comes back with a cursor from before is told that
// something is missing. What is being written to a client meanwhile still goes out.
func (h *Hub) Clear(ctx context.Context, channel string) error {
	channel = h.config().Names.Canonical(channel)
	if err := event.CheckChannel(channel); err != nil {
		return err
	}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if more, err = h.clearSome(channel); err != nil {
			return fmt.Errorf("clearing channel %q: %w", channel, err)
		}
	}
	h.clearWindow(channel)
	return h.Word(ctx, clearedWord+channel)
}

func (h *Hub) clearSome(channel string) (more bool, err error) {
	h.writing.Lock()
	defer h.writing.Unlock()
	if h.Closing() {
		return false, event.ErrClosed
	}
	return h.log.Clear(channel)
}

// clearWindow forgets what is in memory of a channel: who needs it looks into the log,
// and finds that it is gone.
func (h *Hub) clearWindow(channel string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ch := h.channels[channel]; ch != nil {
		h.windows.Add(-ch.reset(h.Head()))
		ch.wakeReaders()
	}
}
