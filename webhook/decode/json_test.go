package decode

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

func TestCheckJSON(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for in, want := range map[string]error{
		`{}`: nil, `[]`: nil, ` {"a" : [1 , -0.5e+3, true,false, null, "\u00e4\n\ud83d\ude00ä"]} `: nil, `0`: nil, `"x"`: nil,
		`1e400`: nil, `"\u0000"`: nil, `[{},{"a":{}}]`: nil, deep(maxDepth): nil,
		``: errTruncated, ` `: errTruncated, `{`: errTruncated, `{"a"`: errTruncated, `{"a":`: errTruncated, `[1`: errTruncated,
		`"x`: errTruncated, `"x\`: errTruncated, `[1,`: errTruncated,
		`{"a":1,}`: errSyntax, `[1,]`: errSyntax, `{a:1}`: errSyntax, `{"a" 1}`: errSyntax, `[1 2]`: errSyntax, `[1}`: errSyntax,
		`{"a":1]`: errSyntax, `nul`: errSyntax, `nan`: errSyntax, `NaN`: errSyntax, `01`: errTrailing, `-`: errSyntax, `1.`: errSyntax,
		`1e`: errSyntax, `.5`: errSyntax, `+1`: errSyntax, `"\x"`: errSyntax, `"\u12g4"`: errSyntax, `'a'`: errSyntax, `[,1]`: errSyntax,
		`{}{}`: errTrailing, `1 2`: errTrailing, `{}x`: errTrailing, "\ufeff{}": errSyntax,
		"\"\n\"": errControl, "\"\r\"": errControl, "\"\x00\"": errControl,
		"\"\xff\"": errUTF8, "\"\xc0\x80\"": errUTF8, "\"\xed\xa0\"": errUTF8, "{\"\xff\":1}": errUTF8,
		`"\ud800"`: nil, `"\udc00"`: nil, `"\ud800x"`: nil, `"\ud800\u0041"`: nil, `"\ud83d\ud83d"`: nil, "\"\xed\xa0\x80\"": nil, `"\ud83d\u12g4"`: errSyntax, `"\ud83d\u"`: errSyntax,
		deep(maxDepth + 1): errDepth, strings.Repeat("[", 20000): errDepth,
		"[" + strings.Repeat("0,", maxValues) + "0]": errValues,
	} {
		if _, got := checkJSON([]byte(in)); got != want {
			t.Errorf("%.60q: got %v, want %v", in, got, want)
		}
	}
}

func TestCheckJSONAllocatesNothing(t *testing.T) {
	b := []byte(`{"a":[1,2,{"b":"\ud83d\ude00 ä"}],"c":null}`)
	if n := testing.AllocsPerRun(100, func() { _, _ = checkJSON(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAppendCompact(t *testing.T) {
	for in, want := range map[string]string{
		`{}`:                            `{}`,
		" { } ":                         `{}`,
		"{ \"a b\" :\t[ 1 , 2 ]\r\n}\n": `{"a b":[1,2]}`,
		`{"a": "x \" y" , "b": " \\" }`: `{"a":"x \" y","b":" \\"}`,
	} {
		if got := string(appendCompact([]byte("<"), []byte(in))); got != "<"+want {
			t.Errorf("%q became %q", in, got)
		}
	}
}

// What we take, every strict reader takes; what such a reader takes and we do
// not is one of the things that are refused on purpose. And fastjson, which
// reads it afterwards, writes the same value back.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,-0.5e+3,true,null,"\ud83d\ude00"]}`, `"\ud800"`, "\"\xff\"", `{}{}`, `01`, `[1,]`, `{"\u0001":"\u2028"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, f, err := readJSON(b)
		halves := f.halves
		valid := json.Valid(b)
		if err == nil && (!json.Valid(doc) || !utf8.Valid(doc) || len(doc) != len(b)) {
			t.Fatalf("%q was taken, as %q", b, doc)
		}
		if err == nil && !halves && (!valid || !bytes.Equal(doc, b)) {
			t.Fatalf("%q was taken", b)
		}
		if err != nil && err != errDepth && err != errValues && valid && utf8.Valid(b) {
			t.Fatalf("%q was refused: %v", b, err)
		}
		if halves && !bytes.Contains(bytes.ToLower(b), []byte(`\ud`)) && !bytes.Contains(b, []byte("\xed")) {
			t.Fatalf("%q has no surrogate", b)
		}
		if err != nil {
			return
		}
		if again, f, err := readJSON(doc); err != nil || f.halves || !bytes.Equal(again, doc) {
			t.Fatalf("%q was mended to %q, %v", b, doc, err)
		}
		b = doc
		var p fastjson.Parser
		v, err := p.ParseBytes(b)
		if err != nil {
			t.Fatalf("fastjson refuses %q: %v", b, err)
		}
		var want bytes.Buffer
		if err := json.Compact(&want, b); err != nil {
			t.Fatal(err)
		}
		if got := v.MarshalTo(nil); !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%q became %q, not %q", b, got, want.Bytes())
		}
		if got := appendCompact(nil, b); !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%q was made %q, not %q", b, got, want.Bytes())
		}
	})
}

func FuzzAppendJSONString(f *testing.F) {
	f.Add("a\"\\\n\r\t\x00\x1f\u2028ä")
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		var back string
		b := AppendJSONString(nil, s)
		if err := json.Unmarshal(b, &back); err != nil || back != s || !isJSONText(b) {
			t.Fatalf("%q was written as %q", s, b)
		}
	})
}
