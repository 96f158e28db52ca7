package file

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"github.com/seed-078801ba/sidestream/stream/log"
)

// settle moves everything that is recent to the buckets that are read, channel
// by channel, so that one page after the other is filled; and holds the
// channels to their bounds that were over them when they were appended to.
func (w *commit) settle() error {
	channels := w.recentChannels()
	trim := make([]*channelRow, 0, len(channels))
	first := w.before.seq + 1 - uint64(len(w.recent.entries))
	if err := w.settleRewrites(); err != nil {
		return err
	}
	numbers := make([]uint64, len(w.recent.entries)+len(w.fresh.entries)) // of the entries' channels
	for _, c := range channels {
		row, err := w.channel(c.entries[0].Channel.Text)
		if err != nil {
			return err
		}
		for _, e := range c.entries {
			numbers[e.Seq-first] = row.number
			if err := w.settleEntry(row, e); err != nil {
				return err
			}
		}
		if c.overRetention {
			trim = append(trim, row)
		}
	}
	for _, entries := range [][]*recentEntry{w.recent.entries, w.fresh.entries} {
		for _, e := range entries {
			if err := w.settleOrder(numbers[e.Seq-first], e); err != nil {
				return err
			}
		}
	}
	for _, marks := range []map[string]string{w.recent.marks, w.fresh.marks} {
		for source, value := range marks {
			w.key = appendText(w.key[:0], source)
			if err := w.put(bucketMarks, w.key, append(w.begin(len(value)), value...)); err != nil {
				return err
			}
		}
	}
	w.settled = true
	if err := w.noteScrub(); err != nil {
		return err
	}
	w.state.generation = newGeneration()
	budget := log.StepEvents + 2*len(numbers)
	for _, row := range trim {
		n, err := w.trimChannel(row, budget)
		if err != nil {
			return err
		}
		budget -= n
	}
	return nil
}

// recentChannels is what is recent of every channel.
func (w *commit) recentChannels() []*recentChannel {
	all := maps.Clone(w.recent.channels)
	maps.Copy(all, w.fresh.channels) // they have what was recent before, too
	return inOrder(maps.Values(all))
}

// inOrder sorts channels, the one that came up first first.
func inOrder(channels iter.Seq[*recentChannel]) []*recentChannel {
	return slices.SortedFunc(channels, func(a, b *recentChannel) int { return cmp.Compare(a.entries[0].Seq, b.entries[0].Seq) })
}

// settleEntry puts an entry where its channel is read, and its key where it is
// looked for.
func (w *commit) settleEntry(row *channelRow, e *recentEntry) error {
	if now := w.now(e.Seq); now != nil {
		e = now
	}
	value := append(appendEvent(w.begin(len(e.encoded)), row.last, e.At, e.Tag), e.encoded...)
	if err := w.put(bucketEvents, w.number2(row.number, e.Seq), value); err != nil {
		return err
	}
	if e.key != "" {
		w.key = append(w.key[:0], e.key...)
		if err := w.put(bucketKeys, w.key, keyRow{e.Seq, e.content}.append(w.begin(0))); err != nil {
			return err
		}
	}
	if row.events == 0 {
		w.state.channels++
		if row.last > 0 {
			if err := w.delete(bucketEmpty, w.number2(row.trimmed, row.number)); err != nil {
				return err
			}
		}
	}
	size := int64(len(e.encoded))
	row.events++
	row.bytes += size
	row.last, row.changed = e.Seq, true
	w.state.events++
	w.state.bytes += size
	return nil
}

// settleOrder puts an entry in the order of the log.
func (w *commit) settleOrder(channel uint64, e *recentEntry) error {
	if now := w.now(e.Seq); now != nil {
		e = now
	}
	order := orderRow{channel, e.At, e.Tag, int64(len(e.encoded))}
	if err := w.put(bucketOrder, w.number1(e.Seq), order.append(w.begin(0))); err != nil {
		return err
	}
	taken := takenRow{at: e.At, tag: e.Tag, key: []byte(e.key), message: []byte(e.message)}
	return w.put(bucketTaken, w.number1(e.Seq), taken.append(w.begin(len(e.key)+len(e.message))))
}
