package endpoint

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// Backfill reads what the app has of a channel behind a message, with the client's own
// credential. whole is false if there is more than that.
type Backfill func(ctx context.Context, c *forwardauth.Client, channel, id string) (events []event.Event, whole bool, err error)

// maxBackfill bounds what one client is given, in bytes.
const maxBackfill = 1 << 20

// beginning is where and with what a stream begins.
type beginning struct {
	stream.Start
	prelude [][]byte
	given   map[string]struct{}
}

// messageOf is the app's id of the last message that a client has, if that is how it
// says where it stands.
func messageOf(from *stream.From) string {
	id := from.Cursor
	if id == "" {
		id = from.MessageID
	}
	if _, err := event.ParseCursor(id); err == nil {
		return ""
	}
	return id
}

// fill gives a client that comes back from before what the history keeps what the app
// has of that time. What the app does not give stays a gap.
func (s *Server) fill(r *http.Request, c *forwardauth.Client, a *Ask, channels []string, from stream.From, start stream.Start) (beginning, error) {
	b := beginning{Start: start}
	id := messageOf(&from)
	if s.Backfill == nil || r.Method == http.MethodHead || id == "" || len(start.Missing) == 0 || start.Missing[0].Reason != event.Trimmed {
		return b, nil
	}
	at := s.Hub.Head() // before the app is asked: what is said from now on is behind it
	var missing []event.Missing
	var prelude [][]byte
	given, size, filled := map[string]struct{}{}, 0, false
	for _, name := range channels {
		if strings.HasPrefix(name, event.UserPrefix) {
			continue
		}
		events, whole, err := s.Backfill(r.Context(), c, name, id)
		if err != nil {
			s.Logger.Debug("the app does not give what is missing", "channel", name, "error", err)
			missing = append(missing, event.Missing{Channel: name, To: at, Reason: event.Trimmed})
			continue
		}
		before, later, err := s.Hub.Seam(events, at)
		if err != nil {
			return b, err
		}
		filled = true
		for i := range before {
			e := event.Entry{Event: before[i], At: before[i].Time.UnixMilli()}
			if before[i].Time.IsZero() {
				e.At = time.Now().UnixMilli()
			}
			message := a.Format.Event(nil, &e, event.Cursor{})
			if size += len(message); size > maxBackfill {
				whole = false
				break
			}
			if len(message) > 0 {
				prelude = append(prelude, message)
			}
		}
		for _, key := range later {
			given[key] = struct{}{}
		}
		if !whole {
			missing = append(missing, event.Missing{Channel: name, To: at, Reason: event.Trimmed})
		}
	}
	if !filled {
		return b, nil
	}
	next, err := s.Hub.Resolve(channels, stream.From{Cursor: at.String(), Shown: from.Shown})
	if err != nil {
		return b, err
	}
	next.Missing = append(missing, next.Missing...)
	return beginning{next, prelude, given}, nil
}
