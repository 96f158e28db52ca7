package logtest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// model is a log as one would write it without a care for speed: every event
// ever appended, and what became of it.
type model struct {
	all       []modelEntry // entry n stands at n-1
	marks     map[string]string
	retention log.Retention
	clock     log.Clock // checked by its own test
	at        int64     // the log's time when something was last appended
	expired   uint64
	forgotten uint64
	trimmed   map[string]uint64      // of the channels that are known
	latest    map[string]modelChange // by key of the message
}

// modelChange is the newest edit or deletion of a message.
type modelChange struct {
	seq uint64
	op  event.Op // Delete if there was one
}

type modelEntry struct {
	event.Entry
	size int64
	said string // the body that it came with, "" once that was taken back
	// unsure: it was taken back when retention had taken it already. A store may
	// have forgotten what it said, or not.
	unsure bool
}

// latestChange is the newest change of an event's message, if it is remembered.
func (m *model) latestChange(e *event.Event) (modelChange, bool) {
	c, ok := m.latest[event.MessageKey(e.Channel.Text, e.ID.Text)]
	return c, ok && !e.ID.IsZero() && m.isKnown(m.all[c.seq-1])
}

func (m *model) isKnown(e modelEntry) bool { return e.Seq > m.expired || m.isRetained(e) }

// keep is what is stored of an event, and whether a change that came before it has
// changed that.
func (m *model) keep(e event.Event) (event.Event, bool) {
	kept := e.Kept()
	last, ok := m.latestChange(&e)
	switch {
	case !ok || e.Op != event.Create && e.Op != event.Edit:
	case last.op == event.Delete:
		return kept.WithoutText(), true
	case e.Op == event.Create:
		if edit := m.all[last.seq-1]; m.isRetained(edit) {
			return kept.WithText(&edit.Event), true
		}
	}
	return kept, false
}

// change does what an edit or a deletion at seq does to its message.
func (m *model) change(e *event.Event, seq uint64) {
	if !e.Changes() {
		return
	}
	last, ok := m.latestChange(e)
	op := e.Op
	if ok && last.op == event.Delete {
		op = event.Delete
	}
	if ok {
		m.rewrite(last.seq, (*event.Event).WithoutText)
	}
	if first := m.byKey(event.CreateKey(e.Channel.Text, e.ID.Text)); first != nil {
		m.rewrite(first.Seq, func(was *event.Event) event.Event {
			if op == event.Delete {
				return was.WithoutText()
			}
			return was.WithText(e)
		})
	}
	m.latest[event.MessageKey(e.Channel.Text, e.ID.Text)] = modelChange{seq, op}
}

func (m *model) rewrite(seq uint64, how func(*event.Event) event.Event) {
	e := &m.all[seq-1]
	if !m.isRetained(*e) || e.Op == event.Delete {
		e.unsure = e.Op != event.Delete
		return
	}
	e.Event, e.said = how(&e.Event), ""
	e.size = int64(len(e.AppendBinary(nil)))
}

func (m *model) retained(channel string) (entries []modelEntry) {
	for _, e := range m.all {
		if e.Channel.Text == channel && e.Seq > m.trimmed[channel] {
			entries = append(entries, e)
		}
	}
	return entries
}

func (m *model) isRetained(e modelEntry) bool {
	trimmed, known := m.trimmed[e.Channel.Text]
	return known && e.Seq > trimmed
}

// takeTag makes the store's tag of a new entry the model's.
func (m *model) takeTag(tag event.Tag, want *log.Appended) {
	first := &m.all[want.Entry.Seq-1]
	if !want.Duplicate {
		first.Tag = tag
	}
	want.Entry.Tag = first.Tag
}

// byKey is the entry whose key is remembered.
func (m *model) byKey(key string) *modelEntry {
	if key == "" {
		return nil
	}
	for i := len(m.all) - 1; i >= 0; i-- {
		if e := m.all[i]; e.Key() == key && (e.Seq > m.expired || m.isRetained(e)) {
			return &m.all[i]
		}
	}
	return nil
}

func (m *model) append(events []event.Event, marks []event.Mark, now time.Time) (results []log.Appended) {
	at := m.clock.Take(now)
	m.at = at
	touched := map[string]bool{}
	for _, e := range events {
		if first := m.byKey(e.Key()); first != nil {
			results = append(results, log.Appended{
				Entry:     event.Entry{Seq: first.Seq, Tag: first.Tag},
				Duplicate: true, Conflict: first.said != "" && first.said != e.Body,
			})
			continue
		}
		said := e.Body
		var changed bool
		if e, changed = m.keep(e); changed {
			said = ""
		}
		encoded := e.AppendBinary(nil)
		seq := uint64(len(m.all) + 1)
		entry := event.Entry{Seq: seq, At: at, Event: e}
		m.all = append(m.all, modelEntry{Entry: entry, size: int64(len(encoded)), said: said})
		if _, known := m.trimmed[e.Channel.Text]; !known {
			m.trimmed[e.Channel.Text] = m.forgotten
		}
		m.change(&e, seq)
		touched[e.Channel.Text] = true
		results = append(results, log.Appended{Entry: entry})
	}
	for channel := range touched {
		m.trim(channel)
	}
	for _, mark := range marks {
		m.marks[mark.Source] = mark.Value
	}
	return results
}

func (m *model) trim(channel string) {
	entries := m.retained(channel)
	var bytes int64
	for _, e := range entries {
		bytes += e.size
	}
	for m.retention.Over(uint64(len(entries)), bytes) {
		m.trimmed[channel] = entries[0].Seq
		bytes -= entries[0].size
		entries = entries[1:]
	}
}

func (m *model) clear(channel string) {
	entries := m.retained(channel)
	for i := range entries {
		m.all[entries[i].Seq-1].unsure = true // whether it is still known what they said
		m.trimmed[channel] = entries[i].Seq
	}
}

func (m *model) sweep(now time.Time) {
	for _, e := range m.all {
		if age := m.retention.Age; age > 0 && e.At < m.clock.Cutoff(now, age) && m.isRetained(e) {
			m.trimmed[e.Channel.Text] = e.Seq
		}
		if e.At < m.clock.Cutoff(now, m.retention.KeyWindow()) {
			m.expired = max(m.expired, e.Seq)
		}
	}
	for channel := range m.trimmed {
		m.trim(channel)
	}
	for channel, trimmed := range m.trimmed {
		if trimmed <= m.expired && len(m.retained(channel)) == 0 {
			m.forgotten = max(m.forgotten, trimmed)
			delete(m.trimmed, channel)
		}
	}
}

func (m *model) stats() (s log.Stats) {
	channels := map[string]bool{}
	for _, e := range m.all {
		if !m.isRetained(e) {
			continue
		}
		if s.Oldest == 0 {
			s.Oldest = e.Seq
		}
		s.Events++
		s.Bytes += e.size
		channels[e.Channel.Text] = true
	}
	s.Channels = uint64(len(channels))
	return s
}

var (
	modelChannels = []string{"a", "b", "c", "user:7"}
	modelSources  = []string{"redis", "tap"}
)

func genEvents(t *rapid.T) []event.Event {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) event.Event {
		e := Message(
			rapid.SampledFrom(modelChannels).Draw(t, "channel"),
			fmt.Sprint(rapid.IntRange(0, 12).Draw(t, "id")),
			rapid.SampledFrom([]string{"x", "x", "x", "other", "long long long long"}).Draw(t, "body"),
		)
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			e.ID = event.Scalar{} // no key
		case 1:
			e.ID, e.Delivery = event.Scalar{}, "d"+e.ID.Text
		case 2, 3:
			e.Op, e.Version = event.Edit, rapid.SampledFrom([]string{"", "v1", "v2"}).Draw(t, "version")
		case 4:
			e.Op = event.Delete
		}
		return e
	}), 0, 6).Draw(t, "events")
}

func genRetention(t *rapid.T) log.Retention {
	return log.Retention{
		Events: rapid.SampledFrom([]int{0, 1, 2, 5}).Draw(t, "count"),
		Bytes:  rapid.SampledFrom([]int64{0, 100, 250, 1000}).Draw(t, "bytes"),
		Age:    rapid.SampledFrom([]time.Duration{0, time.Minute, 30 * time.Hour}).Draw(t, "age"),
		Keys:   rapid.SampledFrom([]time.Duration{0, 40 * time.Hour}).Draw(t, "keys"),
	}
}

func runModel(t *testing.T, rt *rapid.T, s Store) {
	now := Time
	clock := func() time.Time { return now }
	retention := genRetention(rt)
	l := s.Open(t, retention, clock)
	defer func() { l.Close() }()
	epoch := l.Head().Epoch
	m := &model{marks: map[string]string{}, retention: retention, clock: log.NewClock(now, 0), at: now.UnixMilli(), trimmed: map[string]uint64{}, latest: map[string]modelChange{}}
	sweep := func(t *rapid.T) {
		for more := true; more; {
			var err error
			if more, err = l.Sweep(now); err != nil {
				t.Fatal(err)
			}
		}
		m.sweep(now)
	}
	actions := map[string]func(*rapid.T){
		"append": func(t *rapid.T) {
			events := genEvents(t)
			var marks []event.Mark
			if rapid.Bool().Draw(t, "marked") {
				marks = []event.Mark{{Source: rapid.SampledFrom(modelSources).Draw(t, "source"), Value: fmt.Sprint(len(m.all))}}
			}
			got, err := l.Append(events, marks)
			if err != nil {
				t.Fatal(err)
			}
			want := m.append(events, marks, now)
			if len(got) != len(want) {
				t.Fatalf("%d results for %d events", len(got), len(events))
			}
			for i := range want {
				m.takeTag(got[i].Entry.Tag, &want[i])
				if want[i].Duplicate && m.all[want[i].Entry.Seq-1].unsure {
					want[i].Conflict = got[i].Conflict
				}
				if !reflect.DeepEqual(got[i], want[i]) {
					t.Fatalf("event %d: got %+v\nwant %+v", i, got[i], want[i])
				}
			}
		},
		"time passes": func(t *rapid.T) {
			now = now.Add(rapid.SampledFrom([]time.Duration{time.Second, 40 * time.Second, 10 * time.Hour, 25 * time.Hour, -time.Hour}).Draw(t, "by"))
		},
		"sweep": sweep,
		"clear a channel": func(t *rapid.T) {
			channel := rapid.SampledFrom(modelChannels).Draw(t, "channel")
			for more := true; more; {
				var err error
				if more, err = l.Clear(channel); err != nil {
					t.Fatal(err)
				}
			}
			m.clear(channel)
			sweep(t) // a store may forget the channel at once, or then
		},
		"change the retention": func(t *rapid.T) {
			m.retention = genRetention(t)
			l.SetRetention(m.retention)
		},
		"read": func(t *rapid.T) {
			channels := rapid.SliceOfN(rapid.SampledFrom(append([]string{"none"}, modelChannels...)), 0, 4).Draw(t, "channels")
			after := rapid.Uint64Range(0, uint64(len(m.all))+1).Draw(t, "after")
			upto := rapid.Uint64Range(0, uint64(len(m.all))+1).Draw(t, "upto")
			limit := rapid.IntRange(0, 5).Draw(t, "limit")
			maxBytes := rapid.SampledFrom([]int{0, 1, 150, 500}).Draw(t, "max bytes")
			m.checkRead(t, l, channels, after, upto, limit, maxBytes)
		},
		"": func(t *rapid.T) { m.check(t, l, epoch) },
	}
	if s.Reopen != nil {
		actions["reopen"] = func(rt *rapid.T) {
			l = s.Reopen(t, l, m.retention, clock)
			var head int64
			if n := len(m.all); n > 0 {
				head = m.all[n-1].At
			}
			if !s.OwnClock {
				m.clock, m.at = log.NewClock(now, head), max(now.UnixMilli(), head)
			}
		}
	}
	rt.Repeat(actions)
	if s.Check != nil {
		s.Check(rt, l)
	}
}

func (m *model) checkRead(t *rapid.T, l log.Log, channels []string, after, upto uint64, limit, maxBytes int) {
	got, more, err := l.Read(channels, after, upto, limit, maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	var want []event.Entry
	var bytes int64
	wantMore := false
	for _, e := range m.all {
		if e.Seq <= after || e.Seq > upto || !slices.Contains(channels, e.Channel.Text) || !m.isRetained(e) {
			continue
		}
		bytes += e.size
		if len(want) > 0 && (limit > 0 && len(want) == limit || maxBytes > 0 && bytes > int64(maxBytes)) {
			wantMore = true
			break
		}
		want = append(want, e.Entry)
	}
	if !reflect.DeepEqual(got, want) || more != wantMore {
		t.Fatalf("read %s, more %v; want %s, %v", Seqs(got), more, Seqs(want), wantMore)
	}
}

func (m *model) check(t *rapid.T, l log.Log, epoch event.Epoch) {
	want := event.Cursor{Epoch: epoch, Seq: uint64(len(m.all))}
	if len(m.all) > 0 {
		want.Tag = m.all[len(m.all)-1].Tag
	}
	if got := l.Head(); got != want {
		t.Fatalf("head is %v, not %v", got, want)
	}
	got, wantStats := l.Stats(), m.stats()
	got.FileSize, got.Appends = 0, 0
	if got != wantStats {
		t.Fatalf("stats are %+v, not %+v", got, wantStats)
	}
	for _, channel := range append([]string{"none"}, modelChannels...) {
		want, known := m.trimmed[channel]
		if !known {
			want = m.forgotten
		}
		if got, err := l.Trimmed(channel); err != nil || got != want {
			t.Fatalf("trimmed of %s is %d, %v; not %d", channel, got, err, want)
		}
	}
	for _, source := range modelSources {
		if got, err := l.Mark(source); err != nil || got != m.marks[source] {
			t.Fatalf("mark of %s is %q, %v; not %q", source, got, err, m.marks[source])
		}
	}
	var before, exact uint64 // of what must be known, of all
	at := m.at - 3_600_000
	for _, e := range m.all {
		known := e.Seq > m.expired || m.isRetained(e)
		tag, ok, err := l.TagAt(e.Seq)
		if err != nil || known && !ok || ok && tag != e.Tag {
			t.Fatalf("tag at %d is %v, %v, %v; not %v", e.Seq, tag, ok, err, e.Tag)
		}
		if e.At < at {
			exact = e.Seq
			if known || e.Seq == m.expired {
				before = e.Seq
			}
		}
	}
	if got, err := l.SeqBefore(time.UnixMilli(at)); err != nil || got < before || got > exact {
		t.Fatalf("before %d: %d, %v; not %d to %d", at, got, err, before, exact)
	}
	for _, channel := range modelChannels {
		for id := range 13 {
			var want uint64
			if e := m.byKey(event.CreateKey(channel, fmt.Sprint(id))); e != nil {
				want = e.Seq
			}
			if got, ok, err := l.SeqOf(channel, fmt.Sprint(id)); err != nil || got != want || ok != (want > 0) {
				t.Fatalf("%s of %s is %d, %v, %v; not %d", fmt.Sprint(id), channel, got, ok, err, want)
			}
		}
	}
}
