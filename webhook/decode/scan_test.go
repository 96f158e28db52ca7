package decode

import (
	"bytes"
	"encoding/json"
	"net/url"
	"testing"

	"github.com/valyala/fastjson"
)

func without(doc []byte, paths ...Path) []byte {
	s := &Payload{doc: doc}
	s.cut(paths)
	return s.doc
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		doc, want string
		paths     []string
	}{
		{`{"token":"x"}`, `{}`, []string{"token"}},
		{`{"token":"x","a":1}`, `{"a":1}`, []string{"token"}},
		{`{ "a" : 1 , "token" : "x" }`, `{ "a" : 1 }`, []string{"token"}},
		{`{"a":1,"token":{"b":[1,2]},"c":3}`, `{"a":1,"c":3}`, []string{"token"}},
		{`{"token":1,"token":2,"a":1,"tok\u0065n":3}`, `{"a":1}`, []string{"token"}},
		{`{"a":{"token":1,"b":2},"token":3}`, `{"a":{"b":2}}`, []string{"a.token", "token"}},
		{`{"a":{"token":1},"b":2}`, `{"b":2}`, []string{"a.token", "a"}},
		{`{"m":[{"t":1,"a":1},{"a":2,"t":2}]}`, `{"m":[{"a":1},{"a":2}]}`, []string{"m.0.t"}},
		{`{"m":["x","y"]}`, `{"m":[null,null]}`, []string{"m.0"}},
		{`{"a":1}`, `{"a":1}`, []string{"token", "a.b", "a.0"}},
		{`[1,{"token":2}]`, `[1,{"token":2}]`, []string{"token"}},
		{` "token" `, ` "token" `, []string{"token"}},
	} {
		var paths []Path
		for _, p := range c.paths {
			path, err := ParsePath(p)
			if err != nil {
				t.Fatal(err)
			}
			paths = append(paths, path)
		}
		if got := string(without([]byte(c.doc), paths...)); got != c.want {
			t.Errorf("%s without %q is %s, want %s", c.doc, c.paths, got, c.want)
		}
	}
}

// A scan finds what the tree has; what is cut out is gone, and nothing else is.
func FuzzScan(f *testing.F) {
	for _, p := range []string{"a", "a.b", "a.0.b", "0", "/a~1b", "a.01"} {
		f.Add(p, []byte(`{"a":[{"b":"x"},[1]],"\u0061b":{"a":null},"a/b":1}`))
	}
	f.Add("a", []byte(`{"a":1,"\u0061":2}`))
	f.Fuzz(func(t *testing.T, p string, doc []byte) {
		path, err := ParsePath(p)
		if err != nil || bytes.Contains([]byte(p), []byte{'*'}) {
			return
		}
		doc, _, err = readJSON(doc)
		if err != nil {
			return
		}
		root := fastjson.MustParseBytes(doc)
		want, wantErr := path.Find(root)
		got, gotErr := scanJSON(doc, path)
		if want.kind == composite {
			want = Value{}
		}
		if gotErr != wantErr || got.kind != want.kind || got.text != want.text {
			t.Fatalf("%s in %s: %v %v, want %v %v", p, doc, got, gotErr, want, wantErr)
		}
		left := without(doc, path)
		if !json.Valid(left) || len(left) > len(doc)+4*bytes.Count(doc, []byte{','})+8 {
			t.Fatalf("%s without %s is %s", doc, p, left)
		}
		if v, err := path.Find(fastjson.MustParseBytes(left)); err != nil && wantErr == nil || v.Exists() {
			t.Fatalf("%s without %s is %s", doc, p, left)
		}
	})
}

func FuzzScanForm(f *testing.F) {
	f.Add("token", []byte("a=b&token=x%20y&c"))
	f.Add("a b", []byte("a+b=1&a%20b=2"))
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return
		}
		want, wantOK, wantErr := single(form[name], errDuplicateForm)
		if name == "" {
			return // an empty pair has no name for url.ParseQuery
		}
		if got, ok, err := scanForm(body, name); got != want || ok != wantOK || err != wantErr {
			t.Errorf("%q in %q: %q %v %v, want %q %v %v", name, body, got, ok, err, want, wantOK, wantErr)
		}
	})
}
