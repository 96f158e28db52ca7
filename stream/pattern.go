package stream

import (
	"errors"
	"strings"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Pattern matches names of channels whose parts have slashes between them:
// "/a/*" those with one more part, "/a/**" those with one more or several. It is
// Bayeux's wildcard (docs.cometd.org, The Bayeux Protocol, 2.2.1).
//
// A pattern is live only: what was said before a stream joined it, or while
// nobody had joined it, cannot be had by it. Sources that bring events in on
// demand are not told of patterns.
type Pattern struct{ text string }

// ErrPattern is the error of text that is no pattern.
var ErrPattern = errors.New(`not a pattern: it ends in "/*" or "/**", and has a part without a wildcard before that`)

// ParsePattern reads a pattern.
func ParsePattern(text string) (Pattern, error) {
	before, ok := strings.CutSuffix(text, "/**")
	if !ok {
		before, ok = strings.CutSuffix(text, "/*")
	}
	if !ok || strings.Trim(before, "/") == "" || strings.Contains(before, "*") {
		return Pattern{}, ErrPattern
	}
	return Pattern{text}, nil
}

// String is the pattern as it was read.
func (p Pattern) String() string { return p.text }

// Matches tells whether the pattern matches a channel's name.
func (p Pattern) Matches(channel string) bool {
	stem := strings.TrimRight(p.text, "*")
	rest, ok := strings.CutPrefix(channel, stem)
	return ok && rest != "" && (strings.HasSuffix(p.text, "/**") || !strings.Contains(rest, "/"))
}

// patterns are those that somebody has joined, by their text.
type patterns map[string]*channel

// match appends the patterns that match a channel's name. However many there
// are, it looks up one for each part of the name, and one more.
func (ps patterns) match(dst []*channel, name string) []*channel {
	for i := len(name) - 1; i > 0; i-- {
		if name[i] != '/' || i == len(name)-1 {
			continue
		}
		if ch := ps[name[:i]+"/**"]; ch != nil {
			dst = append(dst, ch)
		}
	}
	if i := strings.LastIndexByte(name, '/'); i > 0 && i < len(name)-1 {
		if ch := ps[name[:i]+"/*"]; ch != nil {
			dst = append(dst, ch)
		}
	}
	return dst
}

// pattern finds or makes the channel of a pattern. Called with h.mu held.
func (h *Hub) pattern(p Pattern) *channel {
	ch := h.patterns[p.text]
	if ch == nil {
		ch = newChannel(p.text, len(h.shards), h.Head())
		ch.pattern = true
		h.patterns[p.text] = ch
	}
	return ch
}

// joinPattern counts a listener of the shard, and says from where on it hears
// everything.
func (h *Hub) joinPattern(p Pattern, shard int) (*channel, event.Cursor) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ch := h.pattern(p)
	h.listen(ch)
	ch.listening[shard].Add(1)
	return ch, h.Head()
}

// overtaken tells a stream's client that what its patterns matched is no longer
// in memory: it was too slow. It returns false if the stream ends with that.
func (sh *shard) overtaken(s *Stream) bool {
	if !s.asked {
		sh.conclude(s, SlowClient)
		return false
	}
	var gaps []byte
	for i := range s.subs {
		sub := &s.subs[i]
		w := sub.ch.recent()
		if !sub.ch.pattern || w.base.Epoch != s.within || max(s.cursor, sub.behind) >= w.base.Seq {
			continue
		}
		sub.behind = w.base.Seq
		gaps = append(gaps, sh.gap(s, event.Missing{Channel: sub.ch.name, To: w.base, Reason: event.SlowClient})...)
	}
	return len(gaps) == 0 || sh.write(s, gaps)
}
