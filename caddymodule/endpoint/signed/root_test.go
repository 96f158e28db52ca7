package signed

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-078801ba/sidestream/stream/event"
)

func roots(t testing.TB, epochs Epochs, secrets ...string) *Roots {
	t.Helper()
	r, err := New(secrets, epochs)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	newSecret = "a new secret of 32 bytes........"
	oldSecret = "an old secret of 32 bytes......."
)

// What clients hold must stay what it is.
func TestRootIsFixed(t *testing.T) {
	if got := roots(t, nil, newSecret).Root(event.ObjectOf("live", "1")); got != "1517a4e7b08bbe83ef6db4a3c81f1eda14f567d0" {
		t.Errorf("the root of live 1 is %s: roots that clients hold are worth nothing", got)
	}
}

// A root opens to its object with the secret that made it, new or old, and changed in
// any digit it does not open at all.
func TestRoots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := event.ObjectOf(rapid.String().Draw(t, "kind"), rapid.String().Draw(t, "id"))
		secrets := []string{newSecret, oldSecret}
		maker, _ := New(secrets[rapid.IntRange(0, 1).Draw(t, "secret"):], nil)
		both, _ := New(secrets, nil)
		root := maker.Root(o)
		if got, ok := both.Open(root); !ok || got != o || len(root) != RootLen || root != strings.ToLower(root) {
			t.Fatalf("%s opens to %v, %v", root, got, ok)
		}
		b, _ := hex.DecodeString(root)
		b[rapid.IntRange(0, len(b)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if got, ok := both.Open(hex.EncodeToString(b)); ok {
			t.Fatalf("changed, it opens to %v", got)
		}
	})
}

func TestRootsOfOtherSecrets(t *testing.T) {
	o := event.ObjectOf("live", "1")
	old := roots(t, nil, oldSecret).Root(o)
	if _, ok := roots(t, nil, newSecret).Open(old); ok {
		t.Error("a root of a secret that is gone opens")
	}
	for _, text := range []string{"", old[1:], old + "0", strings.Repeat("g", RootLen), strings.Repeat("0", RootLen), old[:39] + "é", strings.ToUpper(old)} {
		if _, ok := roots(t, nil, oldSecret).Open(text); ok {
			t.Errorf("%q opens", text)
		}
	}
	for _, secrets := range [][]string{nil, {""}, {newSecret, "short"}} {
		if _, err := New(secrets, nil); err == nil {
			t.Errorf("secrets %q were taken", secrets)
		}
	}
}

// Roots tell nothing of what they are the roots of: each bit is one in half of them,
// whichever objects they are of.
func TestRootsTellNothing(t *testing.T) {
	r := roots(t, nil, newSecret)
	const n = 4096
	var ones [8 * rootSize]int
	for i := range n {
		b, _ := hex.DecodeString(r.Root(event.ObjectOf("live", fmt.Sprint(i))))
		for bit := range ones {
			ones[bit] += int(b[bit/8] >> (bit % 8) & 1)
		}
	}
	for bit, k := range ones {
		if k < n/2-n/10 || k > n/2+n/10 {
			t.Errorf("bit %d is one in %d of %d", bit, k, n)
		}
	}
}

// A new epoch ends an object's root and no other one's, here and where the table is
// read; the object stays the same.
func TestEpochs(t *testing.T) {
	var here, there Table
	a, b := event.ObjectOf("live", "1"), event.ObjectOf("live", "2")
	r, other := roots(t, &here, newSecret, oldSecret), roots(t, &there, newSecret)
	before, untouched := r.Root(a), r.Root(b)
	for range 3 {
		text, err := here.Next(a)
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range []*Table{&here, &there} {
			if err := table.Set(text); err != nil {
				t.Fatal(err)
			}
		}
		now := r.Root(a)
		if _, ok := other.Open(before); ok {
			t.Error("the old root still opens")
		}
		if got, ok := other.Open(now); !ok || got != a {
			t.Error("the new one does not")
		}
		if got, ok := other.Open(untouched); !ok || got != b {
			t.Error("another object's does not open any more")
		}
		before = now
	}
	if err := there.Set(""); err != nil || there.Epoch(a) != 3 {
		t.Errorf("an empty table took epochs back: %d, %v", there.Epoch(a), err)
	}
	if there.Set("x") == nil || there.Set("AAAA") == nil {
		t.Error("something else was read as a table")
	}
}

func TestEpochsAreBounded(t *testing.T) {
	table := Table{epochs: map[event.Object]uint32{}}
	for i := range MaxRolled {
		table.epochs[event.ObjectOf("live", fmt.Sprint(i))] = 1
	}
	if _, err := table.Next(event.ObjectOf("live", "0")); err != nil {
		t.Errorf("one of them once more: %v", err)
	}
	if _, err := table.Next(event.ObjectOf("live", "x")); !errors.Is(err, ErrFull) {
		t.Errorf("one more: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	r, _ := New([]string{newSecret, oldSecret}, nil)
	f.Add(r.Root(event.ObjectOf("live", "1")))
	f.Add(strings.Repeat("f", RootLen))
	f.Fuzz(func(t *testing.T, root string) {
		if o, ok := r.Open(root); ok && (len(root) != RootLen || strings.ToLower(root) != root) {
			t.Errorf("%q opens to %v", root, o)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	r := roots(b, new(Table), newSecret, oldSecret)
	root := r.Root(event.ObjectOf("live", "1"))
	for b.Loop() {
		r.Open(root)
	}
}
