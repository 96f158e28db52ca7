package stream

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// named gives the events of a batch the canonical names of their channels, and
// refuses the batch if one of them has none. Every way in publishes through
// here, so that the same message reaches the same streams whichever way it
// came. The events stay their owner's: they are copied before they are changed.
func (h *Hub) named(events []event.Event) ([]event.Event, error) {
	names, copied := h.config().Names, false
	for i := range events {
		e := &events[i]
		if err := checkAddress(e); err != nil {
			return nil, fmt.Errorf("event %d of %d: %w", i+1, len(events), err)
		}
		canonical := names.Canonical(e.Channel.Text)
		if canonical == e.Channel.Text {
			continue
		}
		if !copied {
			events, copied = slices.Clone(events), true
		}
		events[i].Channel.Text = canonical
	}
	return events, nil
}

// checkAddress tells whether an event goes to a channel that somebody can ask
// for. Only what is addressed to a user, and a gap, may be in a user's private
// channel. Who maps a message to an object has named a channel of it, and who says something to a
// mode knows the app's secret.
func checkAddress(e *event.Event) error {
	user, private := strings.CutPrefix(e.Channel.Text, event.UserPrefix)
	if private && (e.To.Text == user || e.Op == event.Gap) {
		return event.CheckUser(user)
	}
	if strings.HasPrefix(e.Channel.Text, event.ObjectPrefix) {
		return event.CheckObjectChannel(e.Channel.Text)
	}
	if strings.HasPrefix(e.Channel.Text, event.ModePrefix) {
		return event.CheckModeChannel(e.Channel.Text)
	}
	return event.CheckChannel(e.Channel.Text)
}
