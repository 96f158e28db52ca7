package memory

import (
	"slices"
	"sort"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// change is the newest edit or deletion of a message.
type change struct {
	seq     uint64
	deleted bool // by this one or an earlier one
}

// keep is what is to be stored of an event, and whether a change of its message
// that came before it makes it say something else than it does.
func (m *Log) keep(e *event.Event) (kept event.Event, changed bool) {
	kept = e.Kept()
	if e.ID.IsZero() || len(m.latest) == 0 || e.Op != event.Create && e.Op != event.Edit {
		return kept, false
	}
	last, ok := m.latest[digestOf(event.MessageKey(e.Channel.Text, e.ID.Text))]
	switch {
	case !ok:
	case last.deleted:
		return kept.WithoutText(), true
	case e.Op == event.Create:
		if edit := m.entry(last.seq); edit != nil {
			if said, err := edit.decode(); err == nil {
				return kept.WithText(&said.Event), true
			}
		}
	}
	return kept, false
}

// change does what an edit or a deletion at seq does to what is kept of its
// message: the event that created it, and the last edit.
func (m *Log) change(e *event.Event, seq uint64) {
	message := digestOf(event.MessageKey(e.Channel.Text, e.ID.Text))
	last, changed := m.latest[message]
	now := change{seq, last.deleted || e.Op == event.Delete}
	if changed {
		m.rewrite(last.seq, (*event.Event).WithoutText)
	}
	if created, ok := m.keys[digestOf(event.CreateKey(e.Channel.Text, e.ID.Text))]; ok {
		m.rewrite(created.seq, func(was *event.Event) event.Event {
			if now.deleted {
				return was.WithoutText()
			}
			return was.WithText(e)
		})
	}
	m.latest[message], m.changes[seq] = now, message
	m.remembered += changeCost
}

// entry is where the retained entry with this number is kept; nil if it is not.
func (m *Log) entry(seq uint64) *entry {
	i := m.find(seq)
	if i == len(m.known) || m.known[i].seq != seq || !m.known[i].retained() {
		return nil
	}
	retained := m.known[i].channel.entries[m.known[i].channel.first:]
	return &retained[sort.Search(len(retained), func(i int) bool { return retained[i].seq >= seq })]
}

// rewrite has an entry say something else, if it is retained. Who has read it
// before keeps what was said then. A deletion says nothing that could go.
func (m *Log) rewrite(seq uint64, how func(*event.Event) event.Event) {
	kept := m.entry(seq)
	if kept == nil {
		return
	}
	was, err := kept.decode()
	if err != nil || was.Op == event.Delete {
		return
	}
	now := how(&was.Event)
	m.scratch = now.AppendBinary(m.scratch[:0])
	ref := &m.known[m.find(seq)]
	ref.channel.bytes -= kept.size()
	m.stats.Bytes -= kept.size()
	m.held -= kept.cost()
	kept.encoded = slices.Clone(m.scratch)
	ref.channel.bytes += kept.size()
	m.stats.Bytes += kept.size()
	m.held += kept.cost()
	m.resize(ref.channel)
	if first, ok := m.keys[ref.key]; ok && ref.keyed {
		first.content = 0
		m.keys[ref.key] = first
	}
}
