package stream

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// interruptions is the channel in which the log has the moments when a way in was
// interrupted whose sender does not repeat. It has a name that no client can ask
// for.
const interruptions = "\x00interruptions"

// uncertainty knows what may be missing without anybody having a proof of it:
// where ways in were interrupted, and where sources have told of a gap. All of it
// is kept in the log; here is what spares looking it up there.
type uncertainty struct {
	mu          sync.Mutex
	fed         map[string]struct{} // the marks that were written with events
	gaps        map[string]uint64   // by channel, where the last gap stands
	gapsFrom    event.Cursor        // every gap behind it is in gaps
	interrupted event.Cursor        // there was no interruption behind it
	proven      map[string]uint64   // by channel, up to where it was proven for the last time
	unnoted     map[string]struct{} // ways whose interruption the log does not have yet
	work        sync.WaitGroup      // for those who try to have it noted
}

// maxUncertain bounds what is remembered beside the log.
const maxUncertain = 100_000

func (u *uncertainty) begin(head event.Cursor) {
	u.fed, u.gaps, u.unnoted, u.proven = map[string]struct{}{}, map[string]uint64{}, map[string]struct{}{}, map[string]uint64{}
	u.gapsFrom, u.interrupted = head, head
}

// feedsMark is the name of the mark that a way in brings events into a channel.
// The length is in it, so that no two ways and channels have the same name.
func feedsMark(way, channel string) string {
	return "feeds:" + strconv.Itoa(len(way)) + ":" + way + ":" + channel
}

func gapMark(channel string) string { return "gap:" + channel }

// repeatedMark is the name of the mark that a way in brings events into a channel whose
// sender repeats.
func repeatedMark(channel string) string { return "repeated:" + channel }

// aloneSuffix sets apart an interruption that concerns only channels into which no way
// brings events whose sender repeats.
const aloneSuffix = "\x00alone"

// InterruptedAlone is Interrupted for channels that this way feeds, and no way whose
// sender repeats.
func (h *Hub) InterruptedAlone(way string) { h.Interrupted(way + aloneSuffix) }

// marks are the marks to be stored with events: into which channels a way in brings
// events whose sender does not repeat, and which channels have new messages with a
// version.
func (u *uncertainty) marks(b *event.Batch) (marks []event.Mark) {
	for i := range b.Events {
		e := &b.Events[i]
		if b.Unrepeated != "" {
			marks = u.mark(marks, feedsMark(b.Unrepeated, e.Channel.Text))
		}
		if b.Repeated {
			marks = u.mark(marks, repeatedMark(e.Channel.Text))
		}
		if isVersioned(e) {
			marks = u.mark(marks, versionedMark(e.Channel.Text))
		}
	}
	return marks
}

// mark adds a mark that was not written yet.
func (u *uncertainty) mark(marks []event.Mark, name string) []event.Mark {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.fed[name]; known {
		return marks
	}
	if len(u.fed) >= maxUncertain {
		clear(u.fed)
	}
	u.fed[name] = struct{}{}
	return append(marks, event.Mark{Source: name, Value: "yes"})
}

// isSure tells whether the log has all interruptions that there were.
func (u *uncertainty) isSure() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.unnoted) == 0
}

// forgetFed has the marks written again, after events were not stored.
func (u *uncertainty) forgetFed() {
	u.mu.Lock()
	defer u.mu.Unlock()
	clear(u.fed)
}

// note remembers a gap or an interruption that is shown.
func (u *uncertainty) note(e *event.Entry, head event.Cursor) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if e.Channel.Text == interruptions {
		u.interrupted = head
		return
	}
	if len(u.gaps) >= maxUncertain {
		clear(u.gaps)
		u.gapsFrom = head
	}
	u.gaps[e.Channel.Text] = e.Seq
}

// noteWait is how long Interrupted waits for the log, and the pause before it is
// tried again.
const noteWait = 2 * time.Second

// Doubt says that a way in whose sender does not repeat is not there yet, and that
// Interrupted will be called. Until then, all that it feeds is uncertain.
func (h *Hub) Doubt(way string) {
	h.uncertain.mu.Lock()
	defer h.uncertain.mu.Unlock()
	h.uncertain.unnoted[way] = struct{}{}
}

// Interrupted says that a way in whose sender does not repeat was not there for a
// moment, however short, up to now: in the channels that it has brought events
// into, some may be missing here. Clients that resume across this moment are told
// so, once; so are those that are connected and can be told. Where the log does not
// take that soon, it is tried until it does, and meanwhile nothing is certain.
func (h *Hub) Interrupted(way string) {
	h.Doubt(way)
	if h.noteInterruption(way) {
		return
	}
	u := &h.uncertain
	u.mu.Lock()
	defer u.mu.Unlock()
	if h.Closing() {
		return
	}
	u.work.Go(func() { // ends with the hub
		pause := time.NewTicker(noteWait)
		defer pause.Stop()
		for {
			select {
			case <-pause.C:
			case <-h.closing:
				return
			}
			if h.noteInterruption(way) {
				return
			}
		}
	})
}

// noteInterruption has the log note it, and tells whether that was done.
func (h *Hub) noteInterruption(way string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), noteWait)
	defer cancel()
	err := h.tellInterruption(ctx, way)
	if err != nil {
		h.config().Logger.Warn("an interruption of a way in is not noted yet", "hub", h.name, "way", way, "error", err)
		return false
	}
	u := &h.uncertain
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.unnoted, way)
	return true
}

func (h *Hub) tellInterruption(ctx context.Context, way string) error {
	receipts, err := h.publish(ctx, event.Batch{Events: []event.Event{{
		Channel: event.String(interruptions), ID: event.String(way), Version: rand.Text(),
		Op: event.Gap, Type: string(event.IngestUncertain), Body: way,
	}}})
	if err != nil {
		return err
	}
	at := receipts[0].Position
	h.mu.Lock()
	names := make([]string, 0, len(h.channels))
	for name := range h.channels {
		names = append(names, name)
	}
	h.mu.Unlock()
	fed := map[string]bool{}
	for _, name := range names {
		yes, err := h.isFed(way, name)
		if err != nil {
			return err
		}
		if yes {
			fed[name] = true
		}
	}
	h.tellReaders(fed, at)
	for _, sh := range h.shards {
		sh.post(func() { sh.doubt(doubt{fed, at}) })
	}
	return nil
}

func (h *Hub) tellReaders(fed map[string]bool, at event.Cursor) {
	for name := range fed {
		h.mu.Lock()
		ch := h.channels[name]
		h.mu.Unlock()
		if ch == nil {
			continue
		}
		ch.mu.Lock()
		readers := slices.Collect(maps.Keys(ch.readers))
		ch.mu.Unlock()
		for _, r := range readers {
			r.interrupted(name, at)
		}
	}
}

func (h *Hub) isFed(way, channel string) (bool, error) {
	way, alone := strings.CutSuffix(way, aloneSuffix)
	value, err := h.log.Mark(feedsMark(way, channel))
	if err != nil || value == "" || !alone {
		return value != "", err
	}
	value, err = h.log.Mark(repeatedMark(channel))
	return value == "", err
}

// doubt is an interruption, with the channels that it concerns.
type doubt struct {
	channels map[string]bool
	at       event.Cursor
}

// doubtsKept is how many interruptions a shard remembers for streams that are
// being opened.
const doubtsKept = 16

// doubt tells the shard's streams of an interruption, in order with the events.
func (sh *shard) doubt(d doubt) {
	if sh.doubts = append(sh.doubts, d); len(sh.doubts) > doubtsKept {
		sh.doubts = slices.Delete(sh.doubts, 0, 1)
	}
	for i := range sh.slots {
		if s := sh.slots[i].s; s != nil {
			sh.tellDoubt(s, d)
		}
	}
}

// tellDoubt tells a stream of an interruption, unless its client was told as it
// began, or would not understand.
func (sh *shard) tellDoubt(s *Stream, d doubt) {
	if !s.asked || s.within != d.at.Epoch || s.began >= d.at.Seq {
		return
	}
	for k := range s.subs {
		if name := s.subs[k].ch.name; d.channels[name] {
			sh.act(s, act{gap: &event.Missing{Channel: name, To: d.at, Reason: event.IngestUncertain}})
		}
	}
}

// doubt adds to a start what may be missing of the channels behind it, and what
// the stream will tell of that by itself.
func (h *Hub) doubt(channels []string, start Start, from From, head event.Cursor, heard bool) (Start, error) {
	u := &h.uncertain
	if !start.Asked || start.Seq >= head.Seq && heard && u.isSure() || len(start.Missing) > 0 && start.Missing[0].Channel == "" {
		return start, nil // there is nothing behind it, or nothing is sure any more
	}
	u.mu.Lock()
	interrupted, gapsFrom := u.interrupted, u.gapsFrom
	unnoted := slices.Collect(maps.Keys(u.unnoted))
	u.mu.Unlock()
	ways := map[string]uint64{}
	if interrupted.Epoch != head.Epoch || start.Seq < interrupted.Seq {
		var err error
		if ways, err = h.interruptedWays(start.Seq, head.Seq); err != nil {
			return Start{}, err
		}
	}
	for _, way := range unnoted {
		ways[way] = max(head.Seq, start.Seq+1)
	}
	stands, err := event.ParseCursor(from.Cursor)
	if err != nil {
		stands = event.Cursor{}
	}
	var missing []event.Missing
	for _, name := range channels {
		begins := max(start.Seq, start.behind[name])
		if !heard {
			missing = append(missing, event.Missing{Channel: name, From: stands, To: head, Reason: event.IngestUncertain})
			continue
		}
		upto, proven := uint64(0), uint64(0)
		if len(ways) > 0 {
			if proven, err = h.provenUpTo(name, head.Epoch); err != nil {
				return Start{}, err
			}
		}
		for way, seq := range ways {
			if seq <= max(begins, upto, proven) {
				continue
			}
			fed, err := h.isFed(way, name)
			if err != nil {
				return Start{}, err
			}
			if fed {
				upto = seq
			}
		}
		if upto == 0 {
			if upto, err = h.notBegun(name, begins, head.Epoch); err != nil {
				return Start{}, err
			}
		}
		if upto > 0 {
			to, err := h.cursorOf(min(upto, head.Seq), head.Epoch)
			if err != nil {
				return Start{}, err
			}
			missing = append(missing, event.Missing{Channel: name, From: stands, To: to, Reason: event.IngestUncertain})
			continue
		}
		gap, err := h.lastGap(name, begins, head, gapsFrom)
		if err != nil {
			return Start{}, err
		}
		start.gap = start.gap || begins < gap && gap <= head.Seq
	}
	if len(missing) == 0 {
		return start, nil
	}
	at, err := h.cursorOf(start.Seq, head.Epoch) // all that came since is still delivered
	if err != nil {
		return Start{}, err
	}
	for i := range missing {
		missing[i].At = at
	}
	start.Missing = append(start.Missing[:len(start.Missing):len(start.Missing)], missing...)
	return start, nil
}

// provenMark is the name of the mark up to where nothing is uncertain in a channel.
func provenMark(channel string) string { return "proven:" + channel }

// Prove says that the log has everything of a channel that there was when it stood at
// a position: what ways in may have missed before was looked up in the app. It costs
// nothing unless there was an interruption.
func (h *Hub) Prove(channel string, asOf event.Cursor) {
	u := &h.uncertain
	u.mu.Lock()
	idle := u.interrupted.Epoch != asOf.Epoch || u.interrupted.Seq == 0 || asOf.Seq < u.interrupted.Seq || u.proven[channel] >= u.interrupted.Seq
	u.mu.Unlock()
	if idle || asOf.Epoch != h.Head().Epoch {
		return
	}
	h.writing.Lock()
	_, err := h.log.Append(nil, []event.Mark{{Source: provenMark(channel), Value: asOf.String()}})
	h.writing.Unlock()
	if err != nil {
		return // it stays uncertain
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.proven) >= maxUncertain {
		clear(u.proven)
	}
	u.proven[channel] = asOf.Seq
}

// provenUpTo is the position up to which nothing is uncertain in a channel.
func (h *Hub) provenUpTo(channel string, epoch event.Epoch) (uint64, error) {
	value, err := h.log.Mark(provenMark(channel))
	if err != nil || value == "" {
		return 0, err
	}
	if c, err := event.ParseCursor(value); err == nil && c.Epoch == epoch {
		return c.Seq, nil
	}
	return 0, nil
}

// beganMark is the name of the mark from where on a channel is complete.
func beganMark(channel string) string { return "began:" + channel }

// Began says that a way in brings everything of a channel from a position on, and
// cannot know what was said before. Who comes back from before that is told, unless
// the log has something of the channel from that time: then another way in was there.
func (h *Hub) Began(channel string, from event.Cursor) error {
	if from.Seq == 0 {
		return nil // nobody has been given an earlier one
	}
	h.writing.Lock()
	defer h.writing.Unlock()
	_, err := h.log.Append(nil, []event.Mark{{Source: beganMark(channel), Value: from.String()}})
	return err
}

// notBegun is the position before which nothing is known of a channel, if that is
// behind where a client stands; 0 otherwise.
func (h *Hub) notBegun(channel string, begins uint64, epoch event.Epoch) (uint64, error) {
	value, err := h.log.Mark(beganMark(channel))
	if err != nil || value == "" {
		return 0, err
	}
	began, err := event.ParseCursor(value)
	if err != nil || began.Epoch != epoch || begins >= began.Seq {
		return 0, nil
	}
	if trimmed, err := h.log.Trimmed(channel); err != nil || trimmed > 0 {
		return 0, err
	}
	entries, _, err := h.log.Read([]string{channel}, 0, began.Seq, 1, 1)
	if err != nil || len(entries) > 0 {
		return 0, err
	}
	return began.Seq, nil
}

// interruptedWays finds the ways in that were interrupted between two positions,
// and where each was for the last time.
func (h *Hub) interruptedWays(after, upto uint64) (map[string]uint64, error) {
	ways := map[string]uint64{}
	for {
		entries, more, err := h.log.Read([]string{interruptions}, after, upto, pageEvents, pageBytes)
		if err != nil {
			return nil, err
		}
		for i := range entries {
			after = entries[i].Seq
			ways[entries[i].Body] = after
		}
		if !more {
			return ways, nil
		}
	}
}

// lastGap is where a channel's last gap stands that a source has told of; 0 if
// there is none behind a position.
func (h *Hub) lastGap(channel string, after uint64, head, knownFrom event.Cursor) (uint64, error) {
	h.uncertain.mu.Lock()
	seq := h.uncertain.gaps[channel]
	h.uncertain.mu.Unlock()
	if seq > after || knownFrom.Epoch == head.Epoch && after >= knownFrom.Seq {
		return seq, nil
	}
	value, err := h.log.Mark(gapMark(channel))
	if err != nil || value == "" {
		return 0, err
	}
	if c, err := event.ParseCursor(value); err == nil && c.Epoch == head.Epoch {
		return c.Seq, nil
	}
	return 0, nil
}

// markGaps keeps where the gaps stand that were just stored, so that who resumes
// after a restart can be told in the response's head. Called with h.writing held.
func (h *Hub) markGaps(events []event.Event, receipts []event.Receipt) {
	var marks []event.Mark
	for i := range events {
		if events[i].Op == event.Gap && !receipts[i].Duplicate && events[i].Channel.Text != interruptions {
			marks = append(marks, event.Mark{Source: gapMark(events[i].Channel.Text), Value: receipts[i].Position.String()})
		}
	}
	if len(marks) == 0 {
		return
	}
	if _, err := h.log.Append(nil, marks); err != nil { // the stream will tell all the same
		h.config().Logger.Warn("a gap could not be noted", "hub", h.name, "error", err)
	}
}
