package signed

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Source is the name of the mark in a hub's log that keeps the Table.
const Source = "signed objects"

// MaxRolled bounds the objects whose roots were made anew.
const MaxRolled = 10_000

// ErrFull is the error of an object too many.
var ErrFull = errors.New("the roots of 10,000 objects were made anew: replace the secret, which makes those of all objects anew and needs no list")

// Table are the objects whose roots were made anew. It is small enough to be kept
// whole. The zero value is ready; it is safe for concurrent use.
type Table struct {
	mu     sync.RWMutex
	epochs map[event.Object]uint32
}

// Epoch implements Epochs.
func (t *Table) Epoch(o event.Object) uint32 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.epochs[o]
}

// Set takes what Text wrote, of this node or of another one. An epoch never goes
// back.
func (t *Table) Set(text string) error {
	b, err := base64.RawStdEncoding.DecodeString(text)
	const row = len(event.Object{}) + 4
	if err != nil || len(b)%row != 0 {
		return errors.New("the objects whose roots were made anew cannot be read")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.epochs == nil {
		t.epochs = map[event.Object]uint32{}
	}
	for ; len(b) > 0; b = b[row:] {
		o := event.Object(b)
		t.epochs[o] = max(t.epochs[o], binary.BigEndian.Uint32(b[len(o):row]))
	}
	return nil
}

// Next is the table with the next epoch of an object, as text. It is to be stored,
// and Set then.
func (t *Table) Next(o event.Object) (string, error) {
	t.mu.RLock()
	epochs := maps.Clone(t.epochs)
	t.mu.RUnlock()
	if epochs == nil {
		epochs = map[event.Object]uint32{}
	}
	if _, known := epochs[o]; !known && len(epochs) >= MaxRolled {
		return "", ErrFull
	}
	epochs[o]++
	var b []byte
	for o, epoch := range epochs {
		b = binary.BigEndian.AppendUint32(append(b, o[:]...), epoch)
	}
	return base64.RawStdEncoding.EncodeToString(b), nil
}

// Kept is a Table that stands in a hub's log. It is read again from time to time, so
// that what another node has stored is known here soon.
type Kept struct {
	Table
	// Load reads what is stored. Changed, if set, is told of objects whose roots
	// were made anew. Both are set before the first use.
	Load    func() (string, error)
	Changed func([]event.Object)

	reading sync.Mutex
	text    string
	read    atomic.Int64 // when, in nanoseconds since began
	began   time.Time
}

// fresh is for how long what was read is taken for what is stored.
const fresh = 5 * time.Second

// Epoch implements Epochs.
func (k *Kept) Epoch(o event.Object) uint32 {
	if last := k.read.Load(); last == 0 || time.Since(k.began)-time.Duration(last) > fresh {
		_ = k.Refresh() // what cannot be read now was read before, or is read later
	}
	return k.Table.Epoch(o)
}

// Refresh reads the table.
func (k *Kept) Refresh() error {
	k.reading.Lock()
	defer k.reading.Unlock()
	if k.began.IsZero() {
		k.began = time.Now()
	}
	text, err := k.Load()
	if err != nil {
		return err
	}
	k.read.Store(max(int64(time.Since(k.began)), 1))
	return k.take(text)
}

func (k *Kept) take(text string) error {
	if text == k.text {
		return nil
	}
	before := k.snapshot()
	if err := k.Set(text); err != nil {
		return err
	}
	k.text = text
	if k.Changed == nil {
		return nil
	}
	var changed []event.Object
	for o, epoch := range k.snapshot() {
		if epoch != before[o] {
			changed = append(changed, o)
		}
	}
	if len(changed) > 0 {
		k.Changed(changed)
	}
	return nil
}

func (t *Table) snapshot() map[event.Object]uint32 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return maps.Clone(t.epochs)
}
