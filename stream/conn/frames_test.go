package conn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// said is a frame as a client sends it.
func said(fin bool, kind Opcode, payload string) []byte {
	b := AppendWebSocket(nil, kind, []byte(payload))
	if !fin {
		b[0] &^= 0x80
	}
	return masked(b)
}

// masked puts a mask on a frame that has none.
func masked(b []byte) []byte {
	mask := []byte{0xa1, 0x02, 0x33, 0xf4}
	head := len(b) - lengthOf(b)
	out := append([]byte(nil), b[:head]...)
	out[1] |= 0x80
	out = append(out, mask...)
	for i, c := range b[head:] {
		out = append(out, c^mask[i%4])
	}
	return out
}

func lengthOf(b []byte) int {
	switch n := b[1] & 0x7f; n {
	case 126:
		return int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		return int(binary.BigEndian.Uint64(b[2:]))
	default:
		return int(n)
	}
}

// heard is what a reader makes of bytes that come in pieces of a size.
func heard(r *FrameReader, b []byte, size int) (got []string, err error) {
	b = bytes.Clone(b)
	for len(b) > 0 && err == nil {
		n := min(size, len(b))
		piece := bytes.Clone(b[:n])
		err = r.Read(piece, func(kind Opcode, payload []byte) bool {
			got = append(got, string(rune('0'+kind))+string(payload))
			return true
		})
		clear(piece) // nobody may keep it
		b = b[n:]
	}
	return got, err
}

func TestFramesInAnyPieces(t *testing.T) {
	long, longer := strings.Repeat("ä", 500), strings.Repeat("x", 70_000)
	var b []byte
	for _, f := range [][]byte{
		said(true, TextFrame, "hello"), said(true, TextFrame, ""), said(true, PingFrame, "p"), said(true, TextFrame, long),
		said(false, TextFrame, "a\xc3"), said(true, PongFrame, "between"), said(false, continuation, ""), said(true, continuation, "\xa4b"),
		said(true, BinaryFrame, "\xff"), said(true, TextFrame, longer), said(false, BinaryFrame, ""), said(true, continuation, ""),
		said(true, CloseFrame, "\x03\xe8bye"),
	} {
		b = append(b, f...)
	}
	want := []string{"1hello", "1", "9p", "1" + long, ":between", "1aäb", "2\xff", "1" + longer, "2", "8\x03\xe8bye"}
	for _, size := range []int{1, 2, 3, 5, 7, 64, 4096, len(b)} {
		got, err := heard(&FrameReader{Limit: 70_000}, b, size)
		if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("in pieces of %d: %d messages, %v", size, len(got), err)
		}
	}
}

func TestBrokenFrames(t *testing.T) {
	unmasked := AppendWebSocket(nil, TextFrame, []byte("x"))
	reserved := said(true, TextFrame, "x")
	reserved[0] |= 0x40
	wide := masked([]byte{0x81, 126, 0, 5, 'h', 'e', 'l', 'l', 'o'})
	for name, test := range map[string]struct {
		b    []byte
		code CloseCode
	}{
		"unmasked":              {unmasked, CloseProtocol},
		"compressed":            {reserved, CloseProtocol},
		"unknown":               {said(true, 0x3, ""), CloseProtocol},
		"unknown control":       {said(true, 0xb, ""), CloseProtocol},
		"rest of nothing":       {said(true, continuation, "x"), CloseProtocol},
		"message in a message":  {append(said(false, TextFrame, "x"), said(true, TextFrame, "y")...), CloseProtocol},
		"ping in fragments":     {said(false, PingFrame, ""), CloseProtocol},
		"long ping":             {said(true, PingFrame, strings.Repeat("x", 126)), CloseProtocol},
		"wide length":           {wide, CloseProtocol},
		"length over 63 bits":   {[]byte{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, CloseProtocol},
		"too big":               {said(true, TextFrame, strings.Repeat("x", 101)), CloseTooBig},
		"too big, by its head":  {[]byte{0x81, 0xff, 0, 0, 0, 0, 0x7f, 0, 0, 0, 1, 2, 3, 4}, CloseTooBig},
		"too big, in fragments": {append(said(false, TextFrame, strings.Repeat("x", 60)), said(true, continuation, strings.Repeat("x", 60))...), CloseTooBig},
		"no text":               {said(true, TextFrame, "\xff"), CloseBadText},
		"half a letter":         {append(said(false, TextFrame, "\xc3"), said(true, continuation, "")...), CloseBadText},
		"half a code":           {said(true, CloseFrame, "\x03"), CloseProtocol},
		"impossible code":       {said(true, CloseFrame, "\x03\xee"), CloseProtocol},
		"code below":            {said(true, CloseFrame, "\x00\x01"), CloseProtocol},
		"no text in the close":  {said(true, CloseFrame, "\x03\xe8\xff"), CloseBadText},
	} {
		for _, size := range []int{1, 1000} {
			_, err := heard(&FrameReader{Limit: 100}, test.b, size)
			var broken *FrameError
			if !errors.As(err, &broken) || broken.Code != test.code || broken.Error() == "" {
				t.Errorf("%s, in pieces of %d: %v, want %d", name, size, err, test.code)
			}
		}
	}
}

// Between messages, a reader has no buffer; and a head that promises much takes
// nothing.
func TestIdleReaderHoldsNothing(t *testing.T) {
	r := &FrameReader{Limit: 1 << 20}
	if _, err := heard(r, append(said(false, TextFrame, "abc"), said(true, continuation, "def")...), 2); err != nil || r.message != nil || r.control != nil {
		t.Errorf("%v, %d and %d bytes are kept", err, cap(r.message), cap(r.control))
	}
	if _, err := heard(r, []byte{0x81, 0xff, 0, 0, 0, 0, 0, 0x0f, 0, 0, 1, 2, 3, 4}, 14); err != nil || cap(r.message) > 0 {
		t.Errorf("%v, %d bytes for a promise", err, cap(r.message))
	}
}

// Whoever has heard enough gets nothing more.
func TestReaderStopsWhenTold(t *testing.T) {
	r := &FrameReader{Limit: 100}
	n := 0
	err := r.Read(append(said(true, CloseFrame, ""), said(true, TextFrame, "more")...), func(Opcode, []byte) bool { n++; return false })
	if err != nil || n != 1 {
		t.Errorf("%d frames, %v", n, err)
	}
}

// FuzzFrames compares what is read of any bytes in one piece with what is read of
// them byte by byte, and holds both to the limits.
func FuzzFrames(f *testing.F) {
	f.Add(said(true, TextFrame, "hello"), 3)
	f.Add(append(said(false, TextFrame, "a"), append(said(true, PingFrame, "p"), said(true, continuation, "b")...)...), 5)
	f.Add(said(true, CloseFrame, "\x03\xe8bye"), 1)
	f.Add([]byte{0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4, 5}, 2)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		size = size&0xff + 1
		const limit = 300
		whole, wholeErr := heard(&FrameReader{Limit: limit}, b, len(b)+1)
		pieces, piecesErr := heard(&FrameReader{Limit: limit}, b, size)
		if strings.Join(whole, "\n") != strings.Join(pieces, "\n") || !errors.Is(piecesErr, wholeErr) {
			t.Fatalf("%q, %v in one piece; %q, %v in pieces of %d", whole, wholeErr, pieces, piecesErr, size)
		}
		total := 0
		for _, m := range whole {
			if total += len(m); len(m) > limit+1 {
				t.Fatalf("a message of %d bytes", len(m))
			}
		}
		if total > 2*len(b) {
			t.Fatalf("%d bytes were made of %d", total, len(b))
		}
	})
}

func BenchmarkFrames(b *testing.B) {
	one := said(true, TextFrame, strings.Repeat("x", 200))
	r := &FrameReader{Limit: 1 << 10}
	piece := make([]byte, len(one))
	b.ReportAllocs()
	for b.Loop() {
		copy(piece, one)
		if err := r.Read(piece, func(Opcode, []byte) bool { return true }); err != nil {
			b.Fatal(err)
		}
	}
}
