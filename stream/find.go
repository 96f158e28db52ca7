package stream

import (
	"context"
	"maps"
	"slices"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// lister is a log that can tell which channels it has.
type lister interface {
	// Channels are the names of all channels that are known.
	Channels() ([]string, error)
}

// FindMessage is in which channels a message with this id was created, as far as the
// log remembers. It looks in all channels of the log, or, where the log cannot tell
// them (Redis keeps no names), in those that somebody has listened to here lately. It
// ends with ctx, whose error it returns then.
func (h *Hub) FindMessage(ctx context.Context, id string) (channels []string, err error) {
	var names []string
	if l, ok := h.log.(lister); ok {
		if names, err = l.Channels(); err != nil {
			return nil, err
		}
	} else {
		h.mu.Lock()
		names = slices.Collect(maps.Keys(h.channels))
		h.mu.Unlock()
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if event.CheckChannel(name) != nil { // a user's own, or none of the app's
			continue
		}
		_, ok, err := h.log.SeqOf(name, id)
		if err != nil {
			return nil, err
		}
		if ok {
			channels = append(channels, name)
		}
	}
	return channels, nil
}
