package load

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type mark struct {
	sent   int64
	number uint64
}

// scan runs a stream through Marks in the given pieces.
func scan(pieces ...[]byte) (found []mark) {
	var m Marks
	for _, p := range pieces {
		m.Scan(p, func(sent int64, number uint64) { found = append(found, mark{sent, number}) })
	}
	return found
}

func TestMessageHasItsSize(t *testing.T) {
	for _, size := range []int{200, 8000} {
		if m := AppendMessage(nil, 12, 123456789, 42, size); len(m) != size {
			t.Errorf("%d bytes, want %d: %s", len(m), size, m)
		}
	}
	if m := AppendMessage([]byte("before"), 1, 1, 1, 0); string(m[:6]) != "before" || string(m[len(m)-2:]) != `"}` {
		t.Errorf("a message that needs no padding: %s", m)
	}
}

func TestMarksAreFoundHoweverTheStreamIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want []mark
		for range rapid.IntRange(0, 5).Draw(t, "messages") {
			m := mark{rapid.Int64Range(0, 1<<62).Draw(t, "sent"), rapid.Uint64().Draw(t, "number")}
			want = append(want, m)
			stream = append(stream, rapid.SampledFrom([]string{"", "c9\r\n", " \r", "@", "@1,", "@12;", "a@b,c;"}).Draw(t, "noise")...)
			stream = AppendMessage(stream, 7, m.sent, m.number, rapid.IntRange(0, 300).Draw(t, "size"))
		}
		var pieces [][]byte
		for rest := stream; len(rest) > 0; {
			n := rapid.IntRange(1, min(len(rest), 90)).Draw(t, "piece")
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		if got := scan(pieces...); !slices.Equal(got, want) {
			t.Fatalf("found %v, want %v, in %q", got, want, pieces)
		}
	})
}

func TestMarksFromBrokenStreams(t *testing.T) {
	for _, c := range []struct {
		name   string
		pieces []string
		want   []mark
	}{
		{"nothing", []string{""}, nil},
		{"no number", []string{"@,1;@1,;"}, nil},
		{"an at sign before a mark", []string{"@@5,6;"}, []mark{{5, 6}}},
		{"cut, and then something else", []string{"@5", "x@7,8;"}, []mark{{7, 8}}},
		{"cut behind the at sign", []string{"@", "5,6;@7,8;"}, []mark{{5, 6}, {7, 8}}},
		{"two in a row, byte by byte", []string{"@", "1", ",", "2", ";", "@", "3", ",", "4", ";"}, []mark{{1, 2}, {3, 4}}},
		{"digits without an end", []string{"@11111111111111111111111111111111111111111111111111111111", ",1;"}, nil},
	} {
		var pieces [][]byte
		for _, p := range c.pieces {
			pieces = append(pieces, []byte(p))
		}
		if got := scan(pieces...); !slices.Equal(got, c.want) {
			t.Errorf("%s: found %v, want %v", c.name, got, c.want)
		}
	}
}
