package pull

import (
	"encoding/json"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// place is where a message stands in the app's list.
type place struct {
	ID   string `json:"i,omitempty"`
	Time int64  `json:"t,omitempty"` // milliseconds since 1970; 0 if it is not known
}

func (p place) isZero() bool { return p.ID == "" && p.Time == 0 }

// compare orders places: by their times, or by their ids where both are numbers.
// known is false if they cannot be compared.
func (p place) compare(q place, byTime bool) (order int, known bool) {
	switch {
	case byTime && p.Time != 0 && q.Time != 0:
		return int(max(-1, min(1, p.Time-q.Time))), true
	case byTime:
		return 0, p.ID == q.ID && p.ID != ""
	case p.ID == q.ID && p.ID != "":
		return 0, true
	}
	return compareNumbers(p.ID, q.ID)
}

// compareNumbers compares ids that are numbers, perhaps with a point, of any length.
func compareNumbers(a, b string) (order int, known bool) {
	aWhole, aRest, ok := splitNumber(a)
	bWhole, bRest, ok2 := splitNumber(b)
	switch {
	case !ok || !ok2:
		return 0, false
	case len(aWhole) != len(bWhole):
		return len(aWhole) - len(bWhole), true
	case aWhole != bWhole:
		return strings.Compare(aWhole, bWhole), true
	}
	return strings.Compare(strings.TrimRight(aRest, "0"), strings.TrimRight(bRest, "0")), true
}

func splitNumber(s string) (whole, rest string, ok bool) {
	whole, rest, _ = strings.Cut(s, ".")
	isDigits := func(s string) bool { return strings.Trim(s, "0123456789") == "" }
	return strings.TrimLeft(whole, "0"), rest, whole != "" && isDigits(whole) && isDigits(rest)
}

// mark is how far a channel was read. The log keeps it as text.
type mark struct {
	// Behind is the place behind which is asked: what stands before it can no
	// longer change. Zero: nothing was there yet.
	Behind place `json:"b,omitzero"`
	// Seen are the newest items that were read, in the order of the list, so that
	// they are known when they are read again.
	Seen []seen `json:"s,omitempty"`
}

// seen is an item that was read.
type seen struct {
	Key string `json:"k"` // a digest of what it is
	place
	// At is when it was read first, in milliseconds since 1970.
	At int64 `json:"q"`
}

// maxSeen bounds what a mark remembers, in items.
const maxSeen = 200

func parseMark(text string) (m mark, known bool) {
	if text == "" {
		return m, false
	}
	return m, json.Unmarshal([]byte(text), &m) == nil
}

func (m *mark) String() string {
	b, err := json.Marshal(m)
	if err != nil {
		return "{}" // it holds texts and numbers only
	}
	return string(b)
}

// has tells whether an item was read before.
func (m *mark) has(key string) bool {
	return slices.ContainsFunc(m.Seen, func(s seen) bool { return s.Key == key })
}

// before are up to n places that were read, before the one behind which is asked, the
// nearest first.
func (m *mark) before(n int, byTime bool) (places []place) {
	for _, s := range m.Seen {
		if order, known := s.place.compare(m.Behind, byTime); known && order < 0 {
			places = append(places, s.place)
		}
	}
	slices.SortStableFunc(places, func(a, b place) int {
		order, _ := b.compare(a, byTime)
		return order
	})
	return places[:min(n, len(places))]
}

// advance takes over what was read by a question that was asked at a time. settled is
// how long the app may take to commit: what was read that long before this question was
// asked can have nothing before it any more that this answer does not have. top is how far
// the list was read just now, zero if to its end: what is behind that was not looked at
// again.
func (m *mark) advance(items []item, top place, asked time.Time, settled time.Duration, byTime bool) {
	now, answered := asked.UnixMilli(), time.Now().UnixMilli()
	m.Seen = slices.Clone(m.Seen)
	for i := range items {
		m.Seen = append(m.Seen, seen{items[i].key, items[i].place, answered})
	}
	for _, s := range m.Seen {
		if s.At > now-settled.Milliseconds() {
			continue
		}
		if order, known := s.place.compare(top, byTime); !top.isZero() && known && order > 0 {
			continue
		}
		if order, known := s.place.compare(m.Behind, byTime); m.Behind.isZero() || order > 0 || !known {
			m.Behind = s.place
		}
	}
	if over := len(m.Seen) - maxSeen; over > 0 {
		m.Seen = m.Seen[over:]
	}
}

// keyOf is what an item is known by: what its events are known by, or its id.
func keyOf(events []event.Event, at place) string {
	h := fnv.New64a()
	for i := range events {
		h.Write([]byte(events[i].Key()))
	}
	if len(events) == 0 {
		h.Write([]byte(at.ID + "\x00" + strconv.FormatInt(at.Time, 10)))
	}
	return strconv.FormatUint(h.Sum64(), 36)
}
