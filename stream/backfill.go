package stream

import "github.com/seed-078801ba/sidestream/stream/event"

// Seam divides what an app has of a channel, oldest first, at a position of the log: a
// stream that begins there has the rest. given is what comes before. Of some of that,
// the log does not know whether it came, or will: later are their keys, for
// Opening.Given.
func (h *Hub) Seam(events []event.Event, at event.Cursor) (given []event.Event, later []string, err error) {
	for _, e := range events {
		seq, known, err := h.log.SeqOf(e.Channel.Text, e.ID.Text)
		switch {
		case err != nil:
			return nil, nil, err
		case known && seq > at.Seq:
			continue
		case !known:
			later = append(later, event.CreateKey(e.Channel.Text, e.ID.Text))
		}
		given = append(given, e)
	}
	return given, later, nil
}
