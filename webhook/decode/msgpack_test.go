package decode

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

func TestMsgpack(t *testing.T) {
	at := time.Date(2024, 5, 1, 10, 0, 0, 123456789, time.UTC)
	for _, c := range []struct {
		in   any
		want string
	}{
		{nil, `null`}, {true, `true`}, {false, `false`}, {0, `0`}, {-1, `-1`}, {-33, `-33`}, {127, `127`}, {uint64(math.MaxUint64), `18446744073709551615`},
		{int64(math.MinInt64), `-9223372036854775808`}, {int64(9007199254740993), `9007199254740993`}, {uint16(65535), `65535`}, {1.5, `1.5`}, {float32(0.1), `0.1`}, {1e300, `1e+300`},
		{math.NaN(), `null`}, {math.Inf(-1), `null`}, {"a\"ä\n\x00", `"a\"ä\n\u0000"`}, {strings.Repeat("x", 300), `"` + strings.Repeat("x", 300) + `"`},
		{[]byte{0xff, 0}, `"/wA="`}, {[]any{1, "a", []any{}}, `[1,"a",[]]`}, {map[string]any{"k": map[string]any{}}, `{"k":{}}`}, {map[int]string{5: "a"}, `{"5":"a"}`},
		{at, `"2024-05-01T10:00:00.123456789Z"`}, {time.Unix(1714557600, 0), `"2024-05-01T10:00:00Z"`},
	} {
		b, err := msgpack.Marshal(c.in)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := appendMsgpack(nil, b)
		if err != nil || string(got) != c.want {
			t.Errorf("%v: got %s, %v; want %s", c.in, got, err, c.want)
		}
	}
	for in, want := range map[string]string{
		"\x81\xc4\x01a\x01":      `{"a":1}`,       // a binary key
		"\x81\xff\x01":           `{"-1":1}`,      // a number as key
		"\xd4\x05\x07":           `"Bw=="`,        // an extension of the app
		"\x82\xa1a\x01\xa1a\x02": `{"a":1,"a":2}`, // for whoever looks it up to refuse
		"\xc7\x0c\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff": `"1969-12-31T23:59:59Z"`,
	} {
		if got, _, err := appendMsgpack(nil, []byte(in)); err != nil || string(got) != want {
			t.Errorf("%q: got %s, %v; want %s", in, got, err, want)
		}
	}
}

func TestMsgpackMistakes(t *testing.T) {
	for in, want := range map[string]error{
		"": errMsgpack, "\xc1": errMsgpack, "\x01\x01": errMsgpackTrailing, "\xa5abc": errMsgpack, "\xdb\xff\xff\xff\xff": errMsgpack, "\xdd\xff\xff\xff\xff": errMsgpack,
		"\xdf\xff\xff\xff\xff": errMsgpack, "\xc9\xff\xff\xff\xff\x01": errMsgpack, "\x92\x01": errMsgpack, "\x81\x01": errMsgpack, "\xa1\xff": errUTF8, "\x81\xa1\xff\x01": errUTF8,
		"\x81\xc4\x01\xff\x01": errUTF8, "\x81\xc0\x01": errMsgpackKey, "\x81\x90\x01": errMsgpackKey, "\x81\xc3\x01": errMsgpackKey, "\xd4\xff\x00": errMsgpack,
		"\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff": errMsgpack, strings.Repeat("\x91", 65) + "\x01": errMsgpackDepth, strings.Repeat("\x81\xa0", 65) + "\x01": errMsgpackDepth,
		strings.Repeat("\x91", 100000): errMsgpackDepth, "\xdd\x00\x01\x86\xa0" + strings.Repeat("\xc0", maxValues): errValues,
	} {
		if got, _, err := appendMsgpack(nil, []byte(in)); err != want || got != nil {
			t.Errorf("%.20q: got %s, %v; want %v", in, got, err, want)
		}
	}
}

// Whatever comes out is JSON of ours.
func FuzzMsgpack(f *testing.F) {
	for _, s := range []string{"\x81\xa1a\x93\x01\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xc0", "\xd6\xff\x00\x00\x00\x00", "\xc4\x02\xff\x00", "\x81\xff\x01", "\xdd\xff\xff\xff\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, _, err := appendMsgpack(nil, b)
		if err != nil {
			return
		}
		if _, err := checkJSON(got); err != nil || !json.Valid(got) {
			t.Fatalf("%x became %q: %v", b, got, err)
		}
	})
}
