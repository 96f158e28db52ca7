package decode

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/valyala/fastjson"
)

func testScope(t testing.TB) *Payload {
	t.Helper()
	in := &Input{
		Body:   []byte(`raw`),
		Header: map[string][]string{"X-Event": {"made"}, "X-Twice": {"a", "b"}, "X-Bad": {"\xff"}},
		Query:  "q=1&q2=a%20b&t=1&t=2",
		Path:   map[string]string{"name": "n"},
		Match:  map[string]string{"gid": "Z2lkOi8vY2FtcGZpcmUvUm9vbXM6Ok9wZW4vMQ"},
		Redis:  map[string]string{"channel": "laravel_database_private-rooms.5", "field.payload": "p"},
	}
	s := NewPayload(*in)
	s.doc = []byte(`{"a":{"b":[10,{"c":"x"}]},"n":9007199254740993,"t":true,"z":null,"e":"","a/b":{"x.y":1,"~":2},"s":" Ab ","list":"a,b",
		"twice":1,"twice":2,"obj":{"k":1},"in":"{\"id\":7,\"m\":{\"x\":[1]}}","bad":"{","html":"<p>Hi &amp; <b>you</b></p><script>x</script>a<br>b < c",
		"event":"App\\Events\\MessageSent","big":1e400,"p":"a|b"}`)
	if _, err := checkJSON(s.doc); err != nil {
		t.Fatal(err)
	}
	s.item = s.doc
	s.form = map[string][]string{"f": {"v"}, "f2": {"1", "2"}}
	return s
}

func TestTemplates(t *testing.T) {
	for _, c := range []struct {
		text string
		kind kind
		want string
	}{
		{"plain", text, "plain"}, {"", text, ""},
		{"{json.a.b.0}", number, "10"}, {"{json.a.b.1.c}", text, "x"}, {"{item.a.b.1.c}", text, "x"}, {"{json.a.b.2}", missing, ""},
		{"{json.a.b.01}", missing, ""}, {"{json.a.b.-1}", missing, ""}, {"{json.a.b.c}", missing, ""}, {"{json.n.x}", missing, ""},
		{"{json.n}", number, "9007199254740993"}, {"{json.big}", number, "1e400"}, {"{json.t}", boolean, "true"}, {"{json.z}", missing, ""}, {"{json.e}", text, ""},
		{"{json:/a~1b/x.y}", number, "1"}, {"{json:/a~1b/~0}", number, "2"}, {"{json:/a/b/0}", number, "10"}, {"{json.obj}", composite, ""}, {"{json}", composite, ""},
		{"{json.no ?? json.z ?? json.n}", number, "9007199254740993"}, {"{json.e ?? json.n}", text, ""}, {"{json.no??json.no2}", missing, ""},
		{"{header.X-Event}", text, "made"}, {"{header.x-event}", text, "made"}, {"{header.X-Bad}", missing, ""}, {"{header.X-None}", missing, ""},
		{"{http.request.header.X-Event}", text, "made"}, {"{http.request.uri.query.q2}", text, "a b"}, {"{http.request.uri.path.name}", text, "n"},
		{"{query.q}", text, "1"}, {"{path.name}", text, "n"}, {"{body}", text, "raw"}, {"{form.f}", text, "v"}, {"{redis.field.payload}", text, "p"},
		{"{match.gid|base64url|last:/}", text, "1"}, {"{redis.channel|re:private-rooms\\.([^.]+)$}", text, "5"}, {"{redis.channel|re:nope}", missing, ""},
		{"{redis.channel|re:(a|b)}", text, "a"}, {"{redis.channel|re:a{2}}", missing, ""},
		{"{json.s|trim}", text, "Ab"}, {"{json.s|lower|trim}", text, "ab"}, {"{json.n|prefix:mm-}", text, "mm-9007199254740993"}, {"{json.no|prefix:x}", missing, ""},
		{"{json.list|split:,}", list, ""}, {"{json.in|json:id}", number, "7"}, {"{json.in|json:m.x.0}", number, "1"}, {"{json.in|json:/m/x/0}", number, "1"},
		{"{json.in|json}", composite, ""}, {"{json.bad|json}", missing, ""}, {"{json.obj|lower}", missing, ""}, {"{json.obj|json:k}", number, "1"}, {"{json.event|last:\\}", text, "MessageSent"},
		{"{json.s|last:/}", text, " Ab "}, {"{json.html|html_text}", text, "Hi & you\na\nb < c"}, {"{json.s|base64url}", missing, ""},
		{"#{json.a.b.0}-{json.t}", text, "#10-true"}, {"{json.no}-{json.n}", missing, ""}, {"a{json.obj}", composite, ""},
	} {
		s := testScope(t)
		template, err := ParseTemplate(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		v, err := template.eval(s, true)
		if err != nil || v.kind != c.kind || v.text != c.want {
			t.Errorf("%s: got %v %q %v, want %v %q", c.text, v.kind, v.text, err, c.kind, c.want)
		}
	}
	loose, _ := ParseTemplate("{json.no}-{json.n}")
	if v, _ := loose.eval(testScope(t), false); v.text != "-9007199254740993" {
		t.Errorf("a text with a missing part is %q", v.text)
	}
}

func TestTemplateErrorsOfInput(t *testing.T) {
	for expression, want := range map[string]error{
		"{json.twice}": errDuplicateKey, "{form.f2}": errDuplicateForm, "{query.t}": errDuplicateQuery, "{header.X-Twice}": errDuplicateHeader,
		"{json.no ?? json.twice}": errDuplicateKey,
	} {
		template, err := ParseTemplate(expression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := template.eval(testScope(t), true); err != want {
			t.Errorf("%s: got %v, want %v", expression, err, want)
		}
	}
}

// Errors say what would be right.
func TestTemplateMistakes(t *testing.T) {
	for text, hint := range map[string]string{
		"{": "without its }", "{json.a": "without its }", "{}": "name a value", "{room.id}": "the names are json", "{json.}": "empty key", "{json..a}": "empty key",
		"{json a}": "the names are", "{json.a b}": "JSON Pointer", "{json:a}": "begins with /", "{json:/a~2}": "~0", "{header}": "a name is missing", "{header.}": "a name is missing",
		"{body.x}": "no parts", "{json.a|upper}": "the filters are json", "{json.a|last}": "behind the colon", "{json.a|last:}": "behind the colon",
		"{json.a|re:(}": "missing closing", "{json.a|trim:x}": "takes nothing", "{json.a|json:a..b}": "empty key", "{json.a ?? }": "name a value", "{json.a|}": "unknown filter",
		"{env.X}": "unknown name",
	} {
		if _, err := ParseTemplate(text); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: %v, want a hint of %q", text, err, hint)
		}
	}
}

func TestConditions(t *testing.T) {
	for text, want := range map[string]bool{
		"{json.t} == true": true, "{json.n} == 9007199254740993": true, "{json.n} != 1": true, "{json.no} != 1": true, "{json.no} == 1": false,
		"{json.z} == null": false, `{json.e} == ""`: true, "{json.e} exists": true, "{json.z} exists": false, "{json.z} not exists": true, "{json.obj} exists": true,
		"{json.obj} == x": false, "{json.obj} != x": true, "{header.X-Event} in made lost": true, "{header.X-Event} not in made lost": false, "{json.no} not in a": true,
		"{json.a.b.1.c} matches ^x$": true, "{json.a.b.1.c} not matches ^x$": false, `{json.s} matches "^ Ab $"`: true, `{json.s} == " Ab "`: true,
		"{json.t} == true and {json.n} == 1": false, "{json.t} == true and {json.n} exists": true, `{json.s} == "and" and {json.t} == true`: false,
		"{json.a.b.0} == {json.a.b.0}": true, "{json.no ?? json.t} == true": true, "{json.p} == a|b": true, `{json.event} == "App\Events\MessageSent"`: true,
		`{json.in} == "{json.in}"`: true, "{header.X-Event} == not made": false,
	} {
		c, err := deliveries.Condition(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := c.Holds(testScope(t)); got != want || err != nil {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
}

func TestConditionMistakes(t *testing.T) {
	for text, hint := range map[string]string{
		"": "write {value}", "{json.a}": "write {value}", "x == y": "no value in braces", "{json.a} = 1": "unknown comparison", "{json.a} ==": "nothing stands behind",
		"{json.a} in": "nothing stands behind", "{json.a} exists x": "nothing may stand behind", "{json.a} not == 1": "instead of not", "{json.a} matches (": "missing closing",
		"{json.a} == 1 and": "write {value}", `{json.a} == "x`: "without its end", "{json.a} == {x}": "the names are", "a{json.a} == 1": "no value",
	} {
		if _, err := deliveries.Condition(text); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: %v, want a hint of %q", text, err, hint)
		}
	}
}

// several is a source of the vocabulary of a question to a backend.
type several struct {
	t    *testing.T
	json string
}

func (s several) JSON(_ string, path Path) (Value, error) {
	root, err := ParseJSON(new(fastjson.Parser), []byte(s.json))
	if err != nil {
		s.t.Fatal(err)
	}
	return path.Find(root)
}

func (s several) Text(group, name string) (string, bool, error) {
	text, ok := map[string]string{"channel": "7", "odd": "a b/c?", "http.auth.user.id": "ann", "empty": ""}[name]
	return text, ok && group == "", nil
}

var questions = &Vocabulary{
	Documents: []string{"json"}, Variables: []string{"channel", "odd", "empty"},
	Other: func(name string) error {
		if name != "http.auth.user.id" && name != "http.none" {
			return errors.New("no such placeholder")
		}
		return nil
	},
}

// What compares of several values, and what is not there: Holds, then Proves.
func TestConditionsOfSeveralValues(t *testing.T) {
	src := several{t, `{"rooms":[{"id":7},{"id":"x"},{"id":null},{}],"ids":[1,"7"],"by":{"7":{},"8":{}},"s":"7","o":{"k":1},"twice":1,"twice":1,"in":{"a":1,"a":2}}`}
	for text, want := range map[string]string{
		"{json.rooms.*.id} == {channel}": "true true", "{json.rooms.*.id} == 8": "false false", "{json.rooms.*.id} != 8": "true true", "{json.rooms.*.id} != 7": "false false",
		"{json.rooms.*.id} in 8 x": "true true", "{json.rooms.*.id} not in 8 9": "true true", "{json.rooms.*.id} matches ^x$": "true true", "{json.rooms.*} != 7": "true false",
		"{json.rooms.*.name} != 7": "true false", "{json.rooms.*.name} exists": "false false", "{json.rooms.*.name} not exists": "true true",
		"{json.ids} contains {channel}": "true true", "{json.ids} contains 8": "false false", "{json.ids} not contains 8": "true true", "{json.by} contains 7": "true true", "{json.by} contains 9": "false false",
		"{json.s} contains 7": "true true", "{json.s} contains 77": "false false", "{json.none} contains 7": "false false", "{json.none} not contains 7": "true false",
		"{json.none} != 7": "true false", "{json.o} != 7": "true false", "{json.none} not matches x": "true false", "{json.s} != {http.none}": "true false", "{json.s} == {http.none ?? channel}": "true true",
		"{http.auth.user.id} == ann": "true true", "{json.twice} exists": "error error", "{json.in.*} == 1": "error error", "{json.in.a} == 1": "error error", "{channel} == 7 and {odd} == \"a b/c?\"": "true true",
	} {
		c, err := questions.Condition(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for _, f := range []func(Source) (bool, error){c.Holds, c.Proves} {
			ok, err := f(src)
			switch {
			case err != nil:
				got = append(got, "error")
			default:
				got = append(got, strconv.FormatBool(ok))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestOwnVocabulary(t *testing.T) {
	src := several{t, `{"a":1}`}
	for text, want := range map[string]string{
		"/r/{odd}?q={odd}&c={channel}": "/r/a%20b%2Fc%3F?q=a+b%2Fc%3F&c=7", "/{empty}/{http.none}/{http.auth.user.id}": "///ann", "/{json.a}{json.none ?? channel}": "/17", "/{odd|last:/}": "/c%3F",
	} {
		template, err := questions.Template(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := template.FillURI(src); got != want || err != nil {
			t.Errorf("%s: got %s, %v; want %s", text, got, err, want)
		}
	}
	for text, hint := range map[string]string{"{header.X}": "no such placeholder", "{chanel}": "no such placeholder", "{channel.x}": "no parts", "{}": "as in {json.room.id}", "{item.a}": "no such"} {
		if _, err := questions.Template(text); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: %v, want a hint of %q", text, err, hint)
		}
	}
	for _, c := range [][3]string{{"", "==", "1"}, {"a", "=", "1"}, {"a", "==", ""}, {"a", "exists", "1"}, {"a..b", "exists", ""}, {"a", "==", "{x"}} {
		if _, err := questions.Compare("json", c[0], c[1], c[2]); err == nil {
			t.Errorf("%q was taken", c)
		}
	}
	hidden, err := questions.Template("x{http.none}")
	if _, ok, err2 := hidden.Text(src); err != nil || err2 != nil || ok || !hidden.Uses("http.none") || hidden.Uses("channel") {
		t.Error("a variable that cannot be filled in")
	}
}
