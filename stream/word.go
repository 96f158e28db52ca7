package stream

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// wordsChannel is where hubs that share a log leave words for each other. It is
// no name that a channel can have: no client can ask for it, and no way in can
// write to it.
const wordsChannel = "\x00words"

// words are what hubs that share a log tell each other beside events.
type words struct {
	heard atomic.Pointer[func(text string)]
}

// OnWord has f called with every word that a hub which shares the log leaves,
// this one's own included, from one goroutine. It must not wait.
func (h *Hub) OnWord(f func(text string)) { h.words.heard.Store(&f) }

// Word leaves a word for all hubs that share the log. It stands in the log, so
// that a hub which cannot reach it now hears it later, as long as it is kept.
// Where the log is not shared, it does nothing.
func (h *Hub) Word(ctx context.Context, text string) error {
	if h.follower == nil {
		return nil
	}
	_, err := h.publish(ctx, event.Batch{Events: []event.Event{{Channel: event.String(wordsChannel), Body: text}}})
	return err
}

// hear passes on the words among entries of the shared log, and returns the
// others, which are for channels.
func (h *Hub) hear(entries []event.Entry) []event.Entry {
	isWord := func(e event.Entry) bool { return e.Channel.Text == wordsChannel }
	if !slices.ContainsFunc(entries, isWord) {
		return entries
	}
	others := make([]event.Entry, 0, len(entries))
	f := h.words.heard.Load()
	for _, e := range entries {
		switch {
		case !isWord(e):
			others = append(others, e)
		case strings.HasPrefix(e.Body, clearedWord):
			h.clearWindow(strings.TrimPrefix(e.Body, clearedWord))
		case f != nil:
			(*f)(e.Body)
		}
	}
	return others
}
