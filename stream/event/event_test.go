package event

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func sample() Event {
	return Event{
		Channel: Number("1"), ID: Number("9007199254740993"), Version: "v2", Op: Edit, Type: "TextMessage",
		User: String("u1"), UserName: "Ann", Thread: Number("7"), To: Scalar{}, Time: time.UnixMilli(1329307314476).UTC(),
		Body: "héllo\n", Delivery: "msg_1/0", Shape: Campfire, Payload: []byte(`{"a":1e400}`),
	}
}

func TestBinaryRoundTrip(t *testing.T) {
	for _, e := range []Event{sample(), {}, {Channel: String("x"), Op: Gap, Type: string(IngestUncertain)}} {
		got, err := DecodeBinary(e.AppendBinary(nil))
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("got %+v, %v; want %+v", got, err, e)
		}
	}
}

// The binary form is what stores keep: it must not change.
func TestBinaryFormIsFixed(t *testing.T) {
	e := sample()
	const want = "022b01d8a49f8eb04d013110393030373139393235343734303939330276320b546578744d65737361676502753103416e6e" +
		"013700076d73675f312f30020768c3a96c6c6f0a0b7b2261223a31653430307d"
	if got := hex.EncodeToString(e.AppendBinary(nil)); got != want {
		t.Errorf("the sample is %s: what is stored could no longer be read", got)
	}
}

// TestFirstBinaryForm: what the first versions have stored is still read.
func TestFirstBinaryForm(t *testing.T) {
	e := sample()
	flags := e.AppendBinary(nil)[1]
	b := binary.AppendVarint([]byte{1, flags, byte(e.Op), byte(e.Shape)}, e.Time.UnixMilli())
	for _, text := range []string{e.Channel.Text, e.ID.Text, e.Version, e.Type, e.User.Text, e.UserName, e.Thread.Text, e.To.Text, e.Body, e.Delivery, string(e.Payload)} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	if got, err := DecodeBinary(b); err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestTextIsTheLastPart: a store that cuts an event where its text begins, and
// puts another text there, has what WithText and WithoutText make of it.
func TestTextIsTheLastPart(t *testing.T) {
	create, edit := sample(), sample()
	create.Op, edit.Body, edit.User, edit.Shape, edit.Payload = Create, "edited", String("moderator"), Raw, []byte(`"edited"`)
	b, at := create.AppendParts(nil)
	if !bytes.Equal(b, create.AppendBinary(nil)) {
		t.Error("the parts are not the whole")
	}
	for _, c := range []struct{ want, said Event }{
		{create.WithText(&edit), edit.Text()}, {create.WithoutText(), Event{Shape: Gone}},
	} {
		got, err := DecodeBinary(c.said.AppendSaid(bytes.Clone(b[:at])))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("got %+v, %v; want %+v", got, err, c.want)
		}
		if got.Key() != create.Key() || got.User != create.User {
			t.Errorf("more than the text has changed: %+v", got)
		}
	}
	edit.Shape = Flowdock // as {"event":"message-edit",...}
	if got := create.WithText(&edit); got.Shape != Mapped || got.Payload != nil || got.Body != "edited" {
		t.Errorf("got %+v", got)
	}
}

// TestTagTellsNothing: tags are not made of what they are the tags of, and every
// bit of them is as good as any other.
func TestTagTellsNothing(t *testing.T) {
	var a, b Tags
	const n = 1 << 14
	var ones [tagBits]int
	seen := map[Tag]int{}
	for range n {
		x, y := a.Next(), b.Next()
		for i := range ones {
			ones[i] += int(x >> i & 1)
		}
		seen[x]++
		seen[y]++
		if x >= 1<<tagBits {
			t.Fatalf("tag %x is too long", uint32(x))
		}
	}
	for i, k := range ones {
		if k < n/2-n/16 || k > n/2+n/16 {
			t.Errorf("bit %d is one in %d of %d", i, k, n)
		}
	}
	if len(seen) < 2*n-20 {
		t.Errorf("of %d tags only %d are different", 2*n, len(seen))
	}
}

func TestKeys(t *testing.T) {
	a := Event{Channel: String("1"), ID: Number("5")}
	b := Event{Channel: Number("1"), ID: String("5"), Delivery: "other"}
	if a.Key() != b.Key() || a.Key() != CreateKey("1", "5") {
		t.Error("the same message in another delivery has another key")
	}
	different := []Event{
		a, {Channel: String("11"), ID: String("")}, {Channel: String("1"), Delivery: "5"},
		{Channel: String("1"), ID: String("5"), Op: Edit}, {Channel: String("1"), ID: String("5"), Version: "2"},
		{Channel: String("1:15"), ID: String("5")}, {Channel: String("1"), ID: String("1:15")},
	}
	seen := map[string]int{}
	for i, e := range different {
		if j, ok := seen[e.Key()]; ok {
			t.Errorf("events %d and %d have one key", i, j)
		}
		seen[e.Key()] = i
	}
}

func TestCursorRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Cursor{Seq: rapid.Uint64().Draw(t, "seq"), Tag: Tag(rapid.Uint32Max(1<<tagBits-1).Draw(t, "tag"))}
		copy(c.Epoch[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "epoch"))
		s := c.String()
		got, err := ParseCursor(s)
		if err != nil || got != c {
			t.Fatalf("%q: got %v, %v", s, got, err)
		}
		if len(s) > 64 || strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyz.") != "" {
			t.Fatalf("%q is not fit for a header or a query", s)
		}
	})
}

func TestCursorIsStrict(t *testing.T) {
	good := Cursor{Epoch: NewEpoch(), Seq: 10, Tag: 1}.String()
	epoch := good[:16]
	for _, s := range []string{
		"", ".", "..", "10", good + " ", " " + good, good + "\n", strings.ToUpper(epoch) + "x" + good[16:],
		epoch + ".010.000001", epoch + ".+10.000001", epoch + ".-1.000001", epoch + "..000001",
		epoch + ".18446744073709551616.000001", epoch + ".10.00000", epoch + ".10.00000u", epoch + ".10.000001.1",
		epoch[:15] + ".10.000001", strings.Repeat("a", 1<<20),
	} {
		if c, err := ParseCursor(s); err == nil {
			t.Errorf("%.80q was read as %v", s, c)
		}
	}
}

func FuzzParseCursor(f *testing.F) {
	f.Add(Cursor{Seq: 1}.String())
	f.Add("..")
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := ParseCursor(s); err == nil && c.String() != s {
			t.Errorf("%q was read as %q", s, c)
		}
	})
}

func FuzzDecodeBinary(f *testing.F) {
	e := sample()
	f.Add(e.AppendBinary(nil))
	f.Add([]byte{1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeBinary(b)
		if err != nil {
			return
		}
		again, err := DecodeBinary(e.AppendBinary(nil))
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Errorf("%x: %+v came back as %+v, %v", b, e, again, err)
		}
	})
}
