package file

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
)

const crashChannels = 5

var crashRetention = log.Retention{Events: 60}

// appendForEver is the process that is killed: it appends, and says what was
// acknowledged.
func appendForEver(path string, o Options) error {
	o.Retention = crashRetention
	f, err := Open(path, o)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	for {
		var batch []event.Event
		for range 1 + rand.IntN(6) {
			channel := fmt.Sprint("c", rand.IntN(crashChannels))
			batch = append(batch, logtest.Message(channel, fmt.Sprint(rand.Uint64()), strings.Repeat("x", rand.IntN(3000))))
		}
		results, err := f.Append(batch, nil)
		if err != nil {
			return err
		}
		for _, r := range results {
			fmt.Fprintf(out, "%d %d %s %s\n", r.Entry.Seq, r.Entry.Tag, r.Entry.Channel.Text, r.Entry.ID.Text)
		}
		if err := out.Flush(); err != nil {
			return err
		}
		if _, err := f.Sweep(f.options.Now()); err != nil {
			return err
		}
	}
}

// ack is what a process said was stored.
type ack struct {
	seq         uint64
	tag         event.Tag
	channel, id string
}

// checkAcks compares a log with what was acknowledged: nothing lost but to
// retention, nothing changed, nothing twice, no hole, and at most one batch
// that was not acknowledged.
func checkAcks(l log.Log, acks []ack, unacked int) (problems []string) {
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	head := l.Head().Seq
	if len(acks) > 0 && head < acks[len(acks)-1].seq {
		report("acknowledged up to %d, the log ends at %d", acks[len(acks)-1].seq, head)
	}
	if head > uint64(len(acks)+unacked) {
		report("%d acknowledged, the log ends at %d", len(acks), head)
	}
	read := map[uint64]event.Entry{}
	for i := range crashChannels {
		entries, _, err := l.Read([]string{fmt.Sprint("c", i)}, 0, head, 0, 0)
		if err != nil {
			report("reading: %v", err)
		}
		for _, e := range entries {
			read[e.Seq] = e
		}
	}
	ids := map[string]uint64{}
	for i, a := range acks {
		if a.seq != uint64(i+1) {
			report("acknowledged %d as the %dth", a.seq, i+1)
		}
		if other, ok := ids[a.id]; ok {
			report("%s stands at %d and at %d", a.id, other, a.seq)
		}
		ids[a.id] = a.seq
		if tag, ok, err := l.TagAt(a.seq); !ok || tag != a.tag || err != nil {
			report("the tag at %d is %v, not %v (%v, %v)", a.seq, tag, a.tag, ok, err)
		}
		trimmed, err := l.Trimmed(a.channel)
		if err != nil {
			report("trimmed: %v", err)
		}
		if e, ok := read[a.seq]; a.seq > trimmed && (!ok || e.ID.Text != a.id || e.Channel.Text != a.channel || e.Tag != a.tag) {
			report("%d is %q %s, not %s", a.seq, e.ID.Text, e.Tag, a.id)
		}
	}
	return problems
}

// TestKilled kills a process while it appends, again and again. It cannot see
// whether anything was synced: the kernel outlives the process and keeps what
// was written. That takes a machine that loses power.
func TestKilled(t *testing.T) {
	for _, part := range []string{"append", "append no sync"} {
		t.Run(part, func(t *testing.T) {
			path := t.TempDir() + "/log.db"
			var acks []ack
			var epoch event.Epoch
			for round := range 15 {
				acks = append(acks, killWhileAppending(t, part, path, rand.IntN(200))...)
				f := openFile(t, path, Options{Retention: crashRetention, UnsafeNoSync: part != "append"})
				unacked := int(f.Head().Seq) - len(acks)
				for _, problem := range checkAcks(f, acks, 6) {
					t.Errorf("round %d: %s", round, problem)
				}
				if e := f.Head().Epoch; round > 0 && (e == epoch) != (part == "append") {
					t.Errorf("round %d: epoch %v after %v", round, e, epoch)
				}
				epoch = f.Head().Epoch
				acks = append(acks, unacknowledged(t, f, unacked)...)
				again := logtest.Put(t, f, logtest.Message(acks[len(acks)-1].channel, acks[len(acks)-1].id, ""))
				if !again[0].Duplicate || again[0].Entry.Seq != uint64(len(acks)) {
					t.Errorf("round %d: the last one again: %+v", round, again[0])
				}
				if part != "append" && round%2 == 0 {
					// Not closed: the next one finds it unclean.
					logtest.Must(t, f.release())
				} else {
					logtest.Must(t, f.Close())
				}
				if part == "append" {
					verifyFile(t, f)
				}
				if t.Failed() {
					return
				}
			}
			t.Logf("%d events acknowledged", len(acks))
		})
	}
}

// unacknowledged is the batch that was stored and not acknowledged any more.
func unacknowledged(t *testing.T, f *Log, n int) (acks []ack) {
	for seq := f.Head().Seq - uint64(n) + 1; seq <= f.Head().Seq; seq++ {
		for i := range crashChannels {
			entries, _, err := f.Read([]string{fmt.Sprint("c", i)}, seq-1, seq, 0, 0)
			logtest.Must(t, err)
			for _, e := range entries {
				acks = append(acks, ack{e.Seq, e.Tag, e.Channel.Text, e.ID.Text})
			}
		}
	}
	if len(acks) != n {
		t.Errorf("%d of %d unacknowledged events can be read", len(acks), n)
	}
	return acks
}

func killWhileAppending(t *testing.T, part, path string, lines int) (acks []ack) {
	t.Helper()
	cmd := child(t, part, path)
	out, err := cmd.StdoutPipe()
	logtest.Must(t, err)
	logtest.Must(t, cmd.Start())
	in := bufio.NewReader(out)
	for n := 0; ; n++ {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			break // what is in the pipe after the kill was acknowledged too
		}
		logtest.Must(t, err)
		var a ack
		if _, err := fmt.Sscan(line, &a.seq, &a.tag, &a.channel, &a.id); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		acks = append(acks, a)
		if n == lines {
			logtest.Must(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Fatalf("the process ended by itself: %v", err)
	}
	return acks
}

// TestChecksCatch plants faults and looks whether the checks of this package
// see them.
func TestChecksCatch(t *testing.T) {
	deleteFrom := func(bucket string, key []byte) func(tx *bolt.Tx) error {
		return func(tx *bolt.Tx) error { return bucketOf(tx, bucket).Delete(key) }
	}
	at := func(numbers ...uint64) (key []byte) {
		for _, n := range numbers {
			key = appendNumber(key, n)
		}
		return key
	}
	replace := func(tx *bolt.Tx) error {
		// Another event under the old position, all checksums right.
		key := at(0, 3)
		e := logtest.Message("c0", "3", "another")
		value := append(appendEvent(nil, 2, logtest.Time.UnixMilli(), 7), e.AppendBinary(nil)...)
		return bucketOf(tx, bucketEvents).Put(key, seal(bucketEvents, key, value))
	}
	tests := []struct {
		name         string
		plant        func(tx *bolt.Tx) error
		acks, verify bool // who must notice
	}{
		{"nothing", func(*bolt.Tx) error { return nil }, false, false},
		{"an event in the middle is gone", deleteFrom(bucketEvents, at(0, 3)), true, true},
		{"the first event is gone", deleteFrom(bucketEvents, at(0, 1)), true, true},
		{"the last event is gone", deleteFrom(bucketEvents, at(0, 5)), true, true},
		{"a position is used again", replace, true, true},
		{"an event is out of order", deleteFrom(bucketOrder, at(3)), false, true},
		{"a key is forgotten", func(tx *bolt.Tx) error {
			return bucketOf(tx, bucketKeys).Delete(appendText(nil, event.CreateKey("c0", "3")))
		}, false, true},
		{"an entry is not known", deleteFrom(bucketTaken, at(3)), false, true},
		{"the channel is not known", func(tx *bolt.Tx) error {
			return bucketOf(tx, bucketNames).Delete(appendText(nil, "c0"))
		}, true, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := t.TempDir() + "/log.db"
			f := openFile(t, path, Options{Now: logtest.Fixed})
			var acks []ack
			for i := range 5 {
				r := logtest.Put(t, f, logtest.Message("c0", fmt.Sprint(i+1), "x"))[0].Entry
				acks = append(acks, ack{r.Seq, r.Tag, "c0", fmt.Sprint(i + 1)})
			}
			logtest.SweepAll(t, f, logtest.Time) // all of it is settled
			logtest.Must(t, f.db.Update(test.plant))
			_, _, err := f.Read([]string{"c0"}, 0, 5, 0, 0)
			if hole := strings.HasSuffix(test.name, " event is gone") || strings.Contains(test.name, "in the middle"); errors.Is(err, ErrDamaged) != hole {
				t.Errorf("reading says %v", err)
			}
			if problems := checkAcks(f, acks, 0); (len(problems) > 0) != test.acks {
				t.Errorf("the check of what was acknowledged says %q", problems)
			}
			inspection := Inspection{path: path, db: f.db, opened: openedDB{file: f.file, pageSize: f.pageSize}}
			if problems, err := inspection.Verify(); (len(problems) > 0) != test.verify || err != nil {
				t.Errorf("the check of the file says %q, %v", problems, err)
			}
		})
	}
	f := openFile(t, t.TempDir()+"/log.db", Options{Now: logtest.Fixed})
	r := logtest.Put(t, f, logtest.Message("c0", "1", "x"))[0].Entry
	lost := []ack{{r.Seq, r.Tag, "c0", "1"}, {2, 1, "c0", "2"}}
	if problems := checkAcks(f, lost, 0); len(problems) == 0 {
		t.Error("a lost tail was not noticed")
	}
	if problems := checkAcks(f, nil, 0); len(problems) == 0 {
		t.Error("an event that nobody published was not noticed")
	}
	if problems := checkAcks(f, []ack{{r.Seq, r.Tag + 1, "c0", "1"}}, 0); len(problems) == 0 {
		t.Error("a position that was used again was not noticed")
	}
}

// TestChecksCatchJournal plants faults in what is not settled yet.
func TestChecksCatchJournal(t *testing.T) {
	// The records of entries 3, 4 and 5 stand in blocks 0, 1 and 2, the mark in 3.
	block := func(journal []byte, n int) []byte { return journal[n*journalBlock : (n+1)*journalBlock] }
	record := func(generation, seq uint64, at int64, e event.Event) []byte {
		w := newCommit(logState{seq: seq - 1, generation: generation}, nil, log.Retention{})
		w.at = at
		w.fresh.entries = []*recentEntry{{encoded: e.AppendBinary(nil)}}
		j := journal{end: journalSize}
		b, _ := j.encode(w)
		return b
	}
	at, e := logtest.Time.UnixMilli(), logtest.Message("c0", "another", "x")
	type plant func(journal []byte, generation uint64)
	gone := func(blocks ...int) plant {
		return func(journal []byte, _ uint64) {
			for _, n := range blocks {
				clear(block(journal, n))
			}
		}
	}
	flip := func(n, offset int) plant {
		return func(journal []byte, _ uint64) { block(journal, n)[offset] ^= 1 }
	}
	for _, test := range []struct {
		name  string
		plant plant
		bad   bool
		head  uint64
	}{
		{"nothing", gone(), false, 5},
		{"the first record is gone", gone(0), true, 0},
		{"a record in the middle is gone", gone(1), true, 0},
		{"the last record is gone", gone(2), true, 0},
		{"all of it is gone", gone(0, 1, 2), true, 0},
		{"a bit of the first is another one", flip(0, journalHead+20), true, 0},
		{"a bit of the last is another one", flip(2, journalHead+20), true, 0},
		{"a checksum is another one", flip(2, 0), true, 0},
		{"a size is another one", flip(2, 7), true, 0},
		{"the mark is gone", gone(3), false, 5},
		{"the mark is another one", func(j []byte, g uint64) { copy(block(j, 3), appendMark(nil, g, 7)) }, true, 0},
		{"the last record and the mark are gone", gone(2, 3), false, 4},
		{"a settled entry is there again", func(j []byte, g uint64) { copy(block(j, 0), record(g, 2, at, e)) }, true, 0},
		{"an entry is older than the one before it", func(j []byte, g uint64) { copy(block(j, 3), record(g, 6, at-1, e)) }, true, 0},
		{"an entry is left out", func(j []byte, g uint64) { copy(block(j, 3), record(g, 7, at, e)) }, true, 0},
		{"an event cannot be read", func(j []byte, g uint64) {
			b := record(g, 6, at, e)
			b[journalHead+10] ^= 0xff // of its encoding
			size := binary.BigEndian.Uint32(b[4:]) + journalHead
			binary.BigEndian.PutUint32(b, crc32.Checksum(b[4:size], castagnoli))
			copy(block(j, 3), b)
		}, true, 0},
		{"one that was not acknowledged", func(j []byte, g uint64) { copy(block(j, 3), record(g, 6, at, e)) }, false, 6},
		{"one that is torn", func(j []byte, g uint64) { copy(block(j, 3), record(g, 6, at, e)[:journalHead+5]) }, false, 5},
		{"one of an earlier generation", func(j []byte, g uint64) { copy(block(j, 3), record(g+1, 6, at, e)) }, false, 5},
		{"one that is torn, where another was", func(j []byte, g uint64) {
			copy(block(j, 3), record(g, 6, at, e)[:journalHead+5])
			copy(block(j, 4), record(g+1, 7, at, e))
		}, false, 5},
		{"one that is torn, and one behind it", func(j []byte, g uint64) {
			copy(block(j, 3), record(g, 6, at, e)[:journalHead+5])
			copy(block(j, 4), record(g, 7, at, e))
		}, true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := t.TempDir() + "/log.db"
			f := openFile(t, path, Options{Now: logtest.Fixed})
			logtest.Put(t, f, logtest.Message("c0", "1", "x"), logtest.Message("c1", "2", "x"))
			logtest.SweepAll(t, f, logtest.Time)
			for id := range 3 {
				logtest.Put(t, f, logtest.Message("c0", fmt.Sprint(id+3), "x"))
			}
			first, end, generation := f.journal.first, f.journal.end, f.state.Load().generation
			logtest.Must(t, f.Close())
			changeBytes(t, path, func(b []byte) { test.plant(b[first:end], generation) })
			f, err := Open(path, Options{Now: logtest.Fixed})
			if errors.Is(err, ErrDamaged) != test.bad {
				t.Errorf("opening says %v", err)
			}
			if err != nil {
				return
			}
			if f.Head().Seq != test.head {
				t.Errorf("head is %d, not %d", f.Head().Seq, test.head)
			}
			logtest.Put(t, f, logtest.Message("c0", "new", "x"))
			verifyFile(t, f)
			f = openFile(t, path, Options{Now: logtest.Fixed})
			if f.Head().Seq != test.head+1 {
				t.Errorf("head is %d, not %d", f.Head().Seq, test.head+1)
			}
		})
	}
}

// TestVerifyJournal: the check of the whole file looks at the journal, too.
func TestVerifyJournal(t *testing.T) {
	f := openFile(t, t.TempDir()+"/log.db", Options{Now: logtest.Fixed})
	logtest.Put(t, f, logtest.Message("c0", "1", "x"))
	logtest.Must(t, f.Close())
	inspection, err := Inspect(f.path)
	logtest.Must(t, err)
	defer inspection.Close()
	changeBytes(t, f.path, func(b []byte) { b[f.journal.first+journalHead] ^= 1 })
	if problems, err := inspection.Verify(); len(problems) != 1 || err != nil {
		t.Errorf("it says %q, %v", problems, err)
	}
}
