package pull

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Lister reads what an app has of a channel behind a message, for one client and with
// that client's credential. Safe for concurrent use.
type Lister struct{ plan *plan }

// AskAs puts one question with a client's credential. uri makes the path and query with
// the client's token in it, or with what logs may show in its place.
type AskAs func(ctx context.Context, uri func(token string) (string, error), limit int) (*Answer, error)

// NewLister checks a configuration. Errors say what would be right.
func NewLister(c Config) (*Lister, error) {
	if c.Preset != "" {
		p, err := findPreset(c.Preset)
		if err != nil {
			return nil, err
		}
		if p.behind != "" && c.URI == "" {
			c.URI, c.LastTime = p.behind, "{item.create_at}"
		}
	}
	p, err := newPlan(c)
	if err != nil {
		return nil, err
	}
	switch {
	case p.behind.server != "":
		return nil, errors.New("a client's credential is shown to the backend alone: leave out the server's name")
	case p.byTime, !p.behind.uses("last", "id") && p.next == nil:
		return nil, errors.New("nothing says behind which message to read: {last.id} is missing, as in backfill GET /room/{channel}/recent.json?since_message_id={last.id}")
	}
	return &Lister{p}, nil
}

// Behind lists the messages behind one, oldest first: those that are there, in their
// last text. whole is false if there are more than the configured pages have.
func (l *Lister) Behind(ctx context.Context, ask AskAs, channel, id string) (events []event.Event, whole bool, err error) {
	m := mark{Behind: place{ID: id}}
	var items []item
	if l.plan.next != nil {
		items, whole, err = l.walk(ctx, ask, channel, &m)
	} else {
		items, whole, err = l.climb(ctx, ask, channel, m.Behind)
	}
	if err != nil {
		return nil, false, err
	}
	for _, it := range items {
		for _, e := range it.events {
			if e.Op == event.Delete || e.ID.Text == id {
				continue
			}
			e.Op, e.Version = event.Create, ""
			events = append(events, e)
		}
	}
	return events, whole, nil
}

func (l *Lister) climb(ctx context.Context, ask AskAs, channel string, at place) (items []item, whole bool, err error) {
	known := map[string]bool{}
	for range l.plan.Pages {
		page, err := l.ask(ctx, ask, l.plan.behind, values{channel: channel, last: at})
		if err != nil {
			return nil, false, err
		}
		moved := false
		for _, it := range page.items {
			if order, comparable := it.compare(at, false); comparable && order <= 0 || known[it.key] {
				continue
			}
			known[it.key], moved = true, true
			items = append(items, it)
		}
		if !moved {
			return items, true, nil
		}
		at = newest(page.items)
	}
	return items, false, nil
}

func (l *Lister) walk(ctx context.Context, ask AskAs, channel string, m *mark) (items []item, whole bool, err error) {
	q, v := l.plan.behind, values{channel: channel, last: m.Behind}
	for n := range l.plan.Pages {
		page, err := l.ask(ctx, ask, q, v)
		if err != nil {
			return nil, false, err
		}
		items = append(page.items, items...)
		for i, it := range items {
			if order, comparable := it.compare(m.Behind, false); comparable && order == 0 {
				return items[i+1:], true, nil
			}
		}
		if len(page.items) == 0 || l.plan.cursor != nil && page.cursor == "" {
			fresh, _ := m.fresh(items, false)
			_, comparable := newest(items).compare(m.Behind, false)
			return fresh, comparable, nil // the message itself is gone
		}
		q = l.plan.next
		v.page = pageBehind(n+1, page)
	}
	return items, false, nil
}

func pageBehind(number int, l *list) page {
	return page{number: number, cursor: l.cursor, oldest: l.items[0].place}
}

func (l *Lister) ask(ctx context.Context, ask AskAs, q *question, v values) (*list, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(l.plan.Timeout))
	defer cancel()
	uri := func(token string) (string, error) {
		v := v
		v.token = token
		return q.fill(&v)
	}
	a, err := ask(ctx, uri, int(l.plan.decoder.MaxBody()))
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, fmt.Errorf("the app answers %d", a.Status)
	}
	return l.plan.read(v.channel, a)
}
