package decode

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/valyala/fastjson"
)

// told is a Source with one document and some variables.
type told struct {
	variables map[string]string
	data      *fastjson.Value
}

func (s told) JSON(_ string, path Path) (Value, error) { return path.Find(s.data) }
func (s told) Text(_, name string) (string, bool, error) {
	text, ok := s.variables[name]
	return text, ok, nil
}

var tellings = &Vocabulary{Documents: []string{"data"}, Variables: []string{"user", "channel", "kind"}}

func TestJSONTemplate(t *testing.T) {
	src := told{map[string]string{"user": "j\"\\\n\u00e9", "channel": "1"}, fastjson.MustParse(`{"count":3,"users":[{"id":7}],"ok":true}`)}
	for _, test := range []struct{ template, want, err string }{
		{`{"room":"{channel}","text":"{user} is here","n":{data.count}}`, `{"room":"1","text":"j\"\\\né is here","n":3}`, ""},
		{`{ "users": {data.users}, "first": {data.users.0.id}, "u": {user}, "k": {kind}, "q": "{kind}" }`,
			`{ "users": [{"id":7}], "first": 7, "u": "j\"\\\né", "k": null, "q": "" }`, ""},
		{`[{channel},{"a":{}}, {data.ok}, "\"{channel}\"", "{ not a hole }"]`, `["1",{"a":{}}, true, "\"1\"", "{ not a hole }"]`, ""},
		{`{"a":"{channel|prefix:r-}","b":"{kind ?? channel}","s":{channel|split:,}}`, `{"a":"r-1","b":"1","s":["1"]}`, ""},
		{`"{user"`, "", "without its }"},
		{`{"a":{nobody}}`, "", "unknown name"},
		{`{"a":}`, "", "no JSON"},
		{`room={channel}`, "", "no JSON"},
		{``, "", "no JSON"},
	} {
		tmpl, err := tellings.JSONTemplate(test.template)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: error %v, want %q", test.template, err, test.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.template, err)
			continue
		}
		if got, err := tmpl.Fill(src); err != nil || string(got) != test.want {
			t.Errorf("%s: %s, %v, want %s", test.template, got, err, test.want)
		}
	}
}

// Whatever the values are, what comes out is JSON.
func FuzzJSONTemplate(f *testing.F) {
	f.Add(`{"a":"{user}","b":{data.x},"c":{data}}`, "x\"\n", `{"x":[1,"\u00e9"]}`)
	f.Add(`["{user|re:(a)}"]`, "aa\\", `[]`)
	f.Fuzz(func(t *testing.T, template, user, data string) {
		tmpl, err := tellings.JSONTemplate(template)
		if err != nil {
			return
		}
		document, err := ParseJSON(new(fastjson.Parser), []byte(data))
		if err != nil {
			return
		}
		got, err := tmpl.Fill(told{map[string]string{"user": user, "channel": user}, document})
		if err == nil && !json.Valid(got) {
			t.Errorf("%q", got)
		}
	})
}
