package pull

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// item is one element of the app's list.
type item struct {
	place
	key    string
	events []event.Event // none if it is dropped, or cannot be mapped
}

// list is an answer, taken apart: oldest first.
type list struct {
	items  []item
	cursor string

	dropped, untimed int
	unmapped         map[string]int
}

// errExpected is the error of an answer that says that something is wrong.
var errExpected = errors.New("the answer does not meet expect")

// errNoMessages is the error of an answer that is something else than a list: an error,
// say, that the app tells with 200.
var errNoMessages = errors.New("the answer has no message that can be mapped")

// errUnmapped is the error of a list of which no message can be mapped. The app is well:
// what somebody has posted is not understood, or the mapping is wrong.
var errUnmapped = errors.New("no message of the list can be mapped")

// read takes an answer apart.
func (p *plan) read(channel string, a *Answer) (*list, error) {
	payload := decode.NewPayload(decode.Input{Body: a.Body, Path: map[string]string{"channel": channel}})
	defer payload.Release()
	l := &list{unmapped: map[string]int{}}
	if p.expect != nil {
		if err := p.decoder.Read(payload); err != nil {
			return nil, err
		}
		if ok, err := p.expect.Holds(payload); err != nil || !ok {
			return nil, errOr(err, errExpected)
		}
	}
	err := p.decoder.Each(payload, func(source decode.Source, out decode.Decoded) error {
		it, err := p.item(channel, source, &out)
		if err != nil {
			return err
		}
		l.dropped += out.Dropped
		l.untimed += out.Untimed
		for reason, n := range out.UnmappedFor {
			l.unmapped[reason] += n
		}
		if it.key != "" {
			l.items = append(l.items, it)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(l.items) == 0 && len(l.unmapped) > 0 && !payload.IsList() {
		return nil, errNoMessages
	}
	if p.cursor != nil {
		if l.cursor, _, err = p.cursor.Text(payload); err != nil {
			return nil, err
		}
	}
	l.sort(p.byTime, strings.Contains(p.Each, "*"))
	return l, nil
}

// strange is errUnmapped if no message of the list can be mapped. short tells that the list
// is certainly not cut: there is nothing to be read behind it.
func (l *list) strange() (short bool, err error) {
	if len(l.items) > 0 || len(l.unmapped) == 0 {
		return true, nil
	}
	count := 0
	for _, n := range l.unmapped {
		count += n
	}
	return count < small, fmt.Errorf("%w: %s", errUnmapped, slices.Sorted(maps.Keys(l.unmapped))[0])
}

// elsewhere is why an item is not taken that the mapping puts into another channel:
// the reader may see more than who listens here.
const elsewhere = "the message is of another channel than was asked for"

func (p *plan) item(channel string, source decode.Source, out *decode.Decoded) (it item, err error) {
	for _, e := range out.Events {
		if e.Channel.Text != channel {
			if out.UnmappedFor == nil {
				out.UnmappedFor = map[string]int{}
			}
			out.UnmappedFor[elsewhere]++
			continue
		}
		it.events = append(it.events, e)
		it.ID = e.ID.Text
		if !e.Time.IsZero() {
			it.Time = e.Time.UnixMilli()
		}
	}
	if p.lastID != nil {
		if it.ID, _, err = p.lastID.Text(source); err != nil {
			return it, err
		}
	}
	if p.lastTime != nil {
		v, err := p.lastTime.Value(source)
		if err != nil {
			return it, err
		}
		if t, ok := v.Time(); ok {
			it.Time = t.UnixMilli()
		}
	}
	if !it.isZero() {
		it.key = keyOf(it.events, it.place)
	}
	return it, nil
}

// sort puts the oldest first. A list that has the newest first is turned round; where
// all places can be compared, that decides. A list without an order of its own, the
// members of an object, is put into the order of time.
func (l *list) sort(byTime, unordered bool) {
	if len(l.items) < 2 {
		return
	}
	first, last := l.items[0], l.items[len(l.items)-1]
	order, known := first.compare(last.place, byTime)
	if !known || order == 0 {
		order, known = first.compare(last.place, true)
	}
	if known && order > 0 {
		slices.Reverse(l.items)
	}
	for _, it := range l.items {
		if _, known := it.compare(first.place, byTime); !known {
			if byTime || !unordered {
				return
			}
			byTime = true
			break
		}
	}
	slices.SortStableFunc(l.items, func(a, b item) int {
		order, _ := a.compare(b.place, byTime)
		return order
	})
}

// fresh is what is new in items, which are in order. touches tells that they reach
// back to what was read before: there is nothing between the two.
func (m *mark) fresh(items []item, byTime bool) (fresh []item, touches bool) {
	first := 0 // the oldest that was read before
	for i, it := range items {
		if m.has(it.key) {
			first, touches = i, true
			break
		}
	}
	for i, it := range items {
		if order, known := it.compare(m.Behind, byTime); !m.Behind.isZero() && known {
			if order < 0 || order == 0 && !byTime {
				touches = true
				continue
			}
		} else if touches && i < first {
			continue
		}
		if !m.has(it.key) {
			fresh = append(fresh, it)
		}
	}
	return fresh, touches
}

// newest is the place of the newest item.
func newest(items []item) place {
	if len(items) == 0 {
		return place{}
	}
	return items[len(items)-1].place
}

// saidSince are the items that were said less than an age ago, by the app's own
// clock. sure is false if that cannot be told.
func saidSince(items []item, appNow time.Time, age time.Duration) (since []item, sure bool) {
	sure = true
	for _, it := range items {
		at := it.Time
		if len(it.events) > 0 {
			if t := it.events[0].Time; t.IsZero() {
				sure = false
				continue
			} else {
				at = t.UnixMilli()
			}
		}
		if appNow.UnixMilli()-at <= age.Milliseconds() {
			since = append(since, it)
		}
	}
	return since, sure
}
