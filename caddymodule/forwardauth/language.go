package forwardauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/caddymodule/suggest"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// The texts of auth are written in the language of package decode. These are
// the names that they may use.
var (
	channelNames = []string{"channel", "org", "flow"}
	secretNames  = []string{"token", "username", "password"}
)

// vocabulary is the names that one configuration uses.
type vocabulary struct {
	// placeholders are Caddy's, of the request for the stream, that the
	// configuration uses.
	placeholders []string
}

// questions are what stands in a request about a channel.
func (v *vocabulary) questions() *decode.Vocabulary {
	return &decode.Vocabulary{Variables: slices.Concat(channelNames, secretNames), Other: v.placeholder}
}

// identities are what stands in a request about who a client is.
func (v *vocabulary) identities() *decode.Vocabulary {
	return &decode.Vocabulary{Variables: secretNames, Other: v.placeholder}
}

// answers are what an answer is read by.
func (v *vocabulary) answers() *decode.Vocabulary {
	q := v.questions()
	q.Documents = []string{"json"}
	q.Other = func(name string) error {
		err := v.placeholder(name)
		if err != nil && !strings.HasPrefix(name, "http.") {
			return fmt.Errorf("%w; a place in the answer is written {json.%s}", err, name)
		}
		return err
	}
	return q
}

// placeholder takes note of a placeholder of Caddy, or says that there is none
// of that name.
func (v *vocabulary) placeholder(name string) error {
	known := slices.Concat(channelNames, secretNames)
	switch {
	case !strings.HasPrefix(name, "http."):
		return errors.New("there is no such variable" + suggest.Among(name, known))
	case strings.HasPrefix(name, "http.reverse_proxy."), strings.HasPrefix(name, "http.response."), strings.HasPrefix(name, "http.error."):
		return errors.New("this placeholder has no value yet when the backend is asked")
	case isHost(name):
		return errors.New("the client chooses the host that it asks for, and with it another virtual host or tenant of the app; " +
			"give each tenant a site and a hub of its own")
	}
	if err := checkPlaceholder(name); err != nil {
		return err
	}
	if !slices.Contains(v.placeholders, name) {
		v.placeholders = append(v.placeholders, name)
	}
	return nil
}

// isHost tells whether a placeholder has the host that the client asks for.
func isHost(name string) bool {
	for _, prefix := range []string{"http.request.host", "http.request.orig_host", "http.request.tls.server_name"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	header, _ := strings.CutPrefix(name, "http.request.header.")
	return strings.EqualFold(header, "Host") || strings.EqualFold(header, "X-Forwarded-Host") || strings.EqualFold(header, "Forwarded")
}

// values are what the names stand for in one question, and in its answer. It is
// a decode.Source.
type values struct {
	channel string
	client  *Client
	json    *fastjson.Value // the answer
}

// JSON implements decode.Source.
func (v *values) JSON(_ string, path decode.Path) (decode.Value, error) {
	if v.json == nil {
		return decode.Value{}, nil
	}
	return path.Find(v.json)
}

// Text implements decode.Source.
func (v *values) Text(_, name string) (text string, ok bool, err error) {
	org, flow, isFlow := strings.Cut(v.channel, "/")
	c := &v.client.Credential
	switch name {
	case "channel":
		text, ok = v.channel, v.channel != ""
	case "org":
		text, ok = org, isFlow
	case "flow":
		text, ok = flow, isFlow
	case "token", "username":
		text, ok = c.token, c.token != ""
	case "password":
		text, ok = c.password, c.password != ""
	default:
		text = c.filled.value(name)
		ok = text != ""
	}
	return text, ok, nil
}

// filled are the placeholders of Caddy that the question needs, with the values
// that they had when the client came.
type filled []input

type input struct{ name, value string }

// value is empty for what has none.
func (f *filled) value(name string) string {
	if f == nil {
		return ""
	}
	for _, in := range *f {
		if in.name == name {
			return in.value
		}
	}
	return ""
}

// identity are those that say who the client is, in the order of the
// configuration. What a handler of Caddy has checked comes alone.
func (f *filled) identity() (known []input) {
	if f == nil {
		return nil
	}
	for _, says := range []func(string) bool{isChecked, identifies} {
		for _, in := range *f {
			if says(in.name) {
				known = append(known, in)
			}
		}
		if known != nil {
			return known
		}
	}
	return nil
}

// isChecked tells whether a placeholder has what a handler of Caddy, or TLS, has
// checked of a client.
func isChecked(name string) bool {
	return strings.HasPrefix(name, "http.auth.") || strings.HasPrefix(name, "http.request.tls.client.")
}

// identifies tells whether a placeholder may say who a client is.
func identifies(name string) bool {
	return isChecked(name) || strings.HasPrefix(name, "http.request.header.") || strings.HasPrefix(name, "http.request.cookie.") ||
		strings.HasPrefix(name, "http.vars.")
}

// hidden are the placeholders as they may be shown: a header or a cookie may
// be a secret, a user's name is none.
func (f *filled) hidden() *filled {
	if f == nil {
		return nil
	}
	h := slices.Clone(*f)
	for i := range h {
		if !isChecked(h[i].name) {
			h[i].value = Masked
		}
	}
	return &h
}

// condition is a condition of allow or deny.
type condition struct {
	*decode.Condition
	words string      // what stands before it in the configuration
	path  decode.Path // what is compared, if it is one place in the JSON
	// proof: the condition must be proved; what is not there proves nothing.
	proof bool
}

func (c *condition) holds(v *values) (bool, error) {
	if c.proof {
		return c.Proves(v)
	}
	return c.Holds(v)
}

// shown is the condition with what was compared with.
func (c *condition) shown(v *values) string { return c.words + " " + c.Filled(v) }

// finding is a place in the answer that something is found in.
type finding struct {
	text     string // as it was written
	path     decode.Path
	template *decode.Template
}

// find is the value in that place.
func (f *finding) find(v *values) (decode.Value, error) {
	if f.template != nil {
		return f.template.Value(v)
	}
	return v.JSON("json", f.path)
}

// Condition is a test on the JSON that the backend answered with.
type Condition struct {
	// Path leads to the value: names and numbers with dots between them, as in
	// `room.users.0.id`, or a JSON Pointer that begins with a slash. `*` stands
	// for every element of an array or object.
	Path string `json:"path"`
	// Op is `==`, `!=`, `exists` or `contains`.
	Op string `json:"op"`
	// Value is what to compare with; it may use the placeholders of the
	// request, such as `{channel}`. Numbers are compared as they are written.
	// Empty for `exists`.
	Value string `json:"value,omitempty"`
}

// answerPath reads a path into the answer. Those who know the places in braces write
// json. before it, or the braces, or the $ of JSONPath: all would be part of a key.
func answerPath(text string) (decode.Path, error) {
	right := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(text, "{"), "}"), "json."), "$.")
	if right != text {
		return nil, fmt.Errorf("%q is no path: the answer is JSON anyway, so write %s (or, for a key of that name, a JSON Pointer such as /json/id)", text, right)
	}
	return decode.ParsePath(text)
}

// read makes the condition ready. A path that leads nowhere makes it false, `!=`
// too: what is not there proves nothing.
func (c *Condition) read(v *vocabulary, words string) (condition, error) {
	path, err := answerPath(c.Path)
	if err != nil {
		return condition{}, err
	}
	compare, err := v.answers().Compare("json", c.Path, c.Op, c.Value)
	return condition{Condition: compare, words: words + " json", path: path, proof: true}, err
}
