package log

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/seed-078801ba/sidestream/stream/event"
)

const crashChannels = 5

var crashRetention = Retention{Events: 60}

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
			batch = append(batch, message(channel, fmt.Sprint(rand.Uint64()), strings.Repeat("x", rand.IntN(3000))))
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
func checkAcks(l Log, acks []ack, unacked int) (problems []string) {
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
				again := put(t, f, message(acks[len(acks)-1].channel, acks[len(acks)-1].id, ""))
				if !again[0].Duplicate || again[0].Entry.Seq != uint64(len(acks)) {
					t.Errorf("round %d: the last one again: %+v", round, again[0])
				}
				if part != "append" && round%2 == 0 {
					// Not closed: the next one finds it unclean.
					must(t, f.release())
				} else {
					must(t, f.Close())
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
func unacknowledged(t *testing.T, f *File, n int) (acks []ack) {
	for seq := f.Head().Seq - uint64(n) + 1; seq <= f.Head().Seq; seq++ {
		for i := range crashChannels {
			entries, _, err := f.Read([]string{fmt.Sprint("c", i)}, seq-1, seq, 0, 0)
			must(t, err)
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
	must(t, err)
	must(t, cmd.Start())
	in := bufio.NewReader(out)
	for n := 0; ; n++ {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			break // what is in the pipe after the kill was acknowledged too
		}
		must(t, err)
		var a ack
		if _, err := fmt.Sscan(line, &a.seq, &a.tag, &a.channel, &a.id); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		acks = append(acks, a)
		if n == lines {
			must(t, cmd.Process.Kill())
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
		e := message("c0", "3", "another")
		value := append(appendEvent(nil, 2, testTime.UnixMilli()), e.AppendBinary(nil)...)
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
			f := openFile(t, path, Options{Now: fixed})
			var acks []ack
			for i := range 5 {
				r := put(t, f, message("c0", fmt.Sprint(i+1), "x"))[0].Entry
				acks = append(acks, ack{r.Seq, r.Tag, "c0", fmt.Sprint(i + 1)})
			}
			sweepAll(t, f, testTime) // all of it is settled
			must(t, f.db.Update(test.plant))
			_, _, err := f.Read([]string{"c0"}, 0, 5, 0, 0)
			if hole := strings.HasSuffix(test.name, " event is gone") || strings.Contains(test.name, "in the middle"); errors.Is(err, ErrDamaged) != hole {
				t.Errorf("reading says %v", err)
			}
			if problems := checkAcks(f, acks, 0); (len(problems) > 0) != test.acks {
				t.Errorf("the check of what was acknowledged says %q", problems)
			}
			inspection := Inspection{path: path, db: f.db, opened: openedDB{file: f.file}}
			if problems, err := inspection.Verify(); (len(problems) > 0) != test.verify || err != nil {
				t.Errorf("the check of the file says %q, %v", problems, err)
			}
		})
	}
	f := openFile(t, t.TempDir()+"/log.db", Options{Now: fixed})
	r := put(t, f, message("c0", "1", "x"))[0].Entry
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
	change := func(do func(journal *bolt.Bucket, key, value []byte) error, seq uint64) func(tx *bolt.Tx) error {
		return func(tx *bolt.Tx) error {
			journal, key := bucketOf(tx, bucketJournal), appendNumber(nil, seq)
			return do(journal, key, bytes.Clone(journal.Get(key)))
		}
	}
	remove := func(journal *bolt.Bucket, key, _ []byte) error { return journal.Delete(key) }
	flip := func(journal *bolt.Bucket, key, value []byte) error {
		value[len(value)/2] ^= 1
		return journal.Put(key, value)
	}
	replace := func(journal *bolt.Bucket, key, _ []byte) error {
		e := message("c0", "another", "x")
		return journal.Put(key, seal(bucketJournal, key, append(appendFields(nil, uint64(testTime.UnixMilli())), e.AppendBinary(nil)...)))
	}
	early := func(journal *bolt.Bucket, key, value []byte) error {
		_, r, err := parseJournal(key, value)
		if err != nil {
			return err
		}
		return journal.Put(key, seal(bucketJournal, key, append(appendFields(nil, uint64(r.at-1)), r.encoded...)))
	}
	for _, test := range []struct {
		name  string
		plant func(tx *bolt.Tx) error
		bad   bool
	}{
		{"nothing", func(*bolt.Tx) error { return nil }, false},
		{"the first entry is gone", change(remove, 3), true},
		{"an entry in the middle is gone", change(remove, 4), true},
		{"the last entry is gone", change(remove, 5), true},
		{"all of it is gone", func(tx *bolt.Tx) error {
			for seq := range uint64(3) {
				if err := change(remove, seq+3)(tx); err != nil {
					return err
				}
			}
			return nil
		}, true},
		{"a settled entry is there again", func(tx *bolt.Tx) error {
			return change(replace, 2)(tx)
		}, true},
		{"a bit is another one", change(flip, 4), true},
		{"the head is another event", change(replace, 5), true},
		{"an entry is older than the one before it", change(early, 5), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := t.TempDir() + "/log.db"
			f := openFile(t, path, Options{Now: fixed})
			put(t, f, message("c0", "1", "x"), message("c1", "2", "x"))
			sweepAll(t, f, testTime)
			for id := range 3 {
				put(t, f, message("c0", fmt.Sprint(id+3), "x"))
			}
			must(t, f.db.Update(test.plant))
			inspection := Inspection{path: path, db: f.db, opened: openedDB{file: f.file}}
			if problems, err := inspection.Verify(); (len(problems) > 0) != test.bad || err != nil {
				t.Errorf("the check of the file says %q, %v", problems, err)
			}
			must(t, f.Close())
			f, err := Open(path, Options{Now: fixed})
			if errors.Is(err, ErrDamaged) != test.bad {
				t.Errorf("opening says %v", err)
			}
			if err == nil {
				must(t, f.Close())
			}
		})
	}
}
