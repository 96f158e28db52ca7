package pull

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Request is one question to the app.
type Request struct {
	// Server is the scheme and host to ask; empty for the backend.
	Server string
	// URI is the path and query. Shown is the same with the secrets masked, for
	// logs.
	URI, Shown string
	// Header has secrets: no log may show it.
	Header http.Header
	// Limit bounds the body of the answer, in bytes.
	Limit int
}

// Answer is what the app said.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// An Asker puts questions to the app. It follows no redirects, and its errors hold no
// secrets. Safe for concurrent use.
type Asker interface {
	Ask(ctx context.Context, r *Request) (*Answer, error)
}

// questions are the names in what is asked.
var questions = &decode.Vocabulary{
	Groups: []string{"last"}, Variables: []string{"channel", "org", "flow", "token", "user"}, Other: placeholder,
}

// placeholder takes a name that whoever reads the configuration resolves before.
func placeholder(name string) error {
	if kind, _, ok := strings.Cut(name, "."); ok && (kind == "env" || kind == "file") {
		return nil
	}
	return fmt.Errorf("there is no such name; the names are channel, org, flow, token, user, last.id, last.time, last.millis, last.seconds and env.NAME")
}

// nextQuestions are those in what is asked for a next page.
var nextQuestions = &decode.Vocabulary{Groups: []string{"last", "page"}, Variables: questions.Variables, Other: placeholder}

// question is a request with holes.
type question struct {
	server string
	path   *decode.Template
	query  []*decode.Template // each parameter, name and value
}

// errLiteral is the error of a text that is no part of an address.
var errLiteral = errors.New("it has a space or a control character; escape it, as in %20")

func parseQuestion(option, text string, next bool) (*question, error) {
	vocabulary := questions
	if next {
		vocabulary = nextQuestions
	}
	q := &question{server: serverOf(text)}
	if err := checkServer(q.server); err != nil {
		return nil, fmt.Errorf("%s %q: %w", option, text, err)
	}
	path, query, _ := strings.Cut(strings.TrimPrefix(text, q.server), "?")
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return nil, fmt.Errorf("%s %q: the path begins with one slash, as in /room/{channel}/recent.json", option, text)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) && !strings.Contains(text, "??") {
		return nil, fmt.Errorf("%s %q: %w", option, text, errLiteral)
	}
	var err error
	if q.path, err = vocabulary.Template(path); err != nil {
		return nil, fmt.Errorf("%s: %w", option, err)
	}
	channel := q.path.Uses("channel", "org", "flow")
	if query != "" {
		for pair := range strings.SplitSeq(query, "&") {
			t, err := vocabulary.Template("?" + pair) // what is behind ? is escaped as a query is
			if err != nil {
				return nil, fmt.Errorf("%s: %w", option, err)
			}
			q.query = append(q.query, t)
			channel = channel || t.Uses("channel", "org", "flow")
		}
	}
	if !channel {
		return nil, fmt.Errorf("%s %q: nothing in it names the channel; write {channel} where its name stands", option, text)
	}
	return q, nil
}

// uses tells whether a parameter reads one of these names of a group.
func (q *question) uses(group string, names ...string) bool {
	for _, t := range append([]*decode.Template{q.path}, q.query...) {
		for _, used := range t.Names(group) {
			for _, name := range names {
				if used == name {
					return true
				}
			}
		}
	}
	return false
}

// errChannel is the error of a channel that a question has no name for: one without
// an organization, say.
var errChannel = errors.New("the channel has no name in this question")

// fill makes the path and query. A parameter without a value is left out; without a
// name of the channel there is no question.
func (q *question) fill(v *values) (string, error) {
	if !q.path.Has(v, "channel", "org", "flow") {
		return "", errChannel
	}
	uri, err := q.path.FillURI(v)
	if err != nil {
		return "", err
	}
	separator := "?"
	for _, t := range q.query {
		if !t.Has(v, "last", "page") {
			continue
		}
		if !t.Has(v, "channel", "org", "flow") {
			return "", errChannel
		}
		pair, err := t.FillURI(v)
		if err != nil {
			return "", err
		}
		uri += separator + pair[1:]
		separator = "&"
	}
	return uri, nil
}

// values are what the names of a question stand for. It is a decode.Source.
type values struct {
	channel     string
	token, user string
	last        place
	page        page
}

// page is what is known of the pages before.
type page struct {
	number int
	cursor string
	oldest place
}

// masked stands for a secret.
const masked = "REDACTED"

// JSON implements decode.Source: there is no document.
func (v *values) JSON(string, decode.Path) (decode.Value, error) { return decode.Value{}, nil }

// Text implements decode.Source.
func (v *values) Text(group, name string) (text string, ok bool, err error) {
	org, flow, isFlow := strings.Cut(v.channel, "/")
	switch group + "." + name {
	case ".channel":
		return v.channel, v.channel != "", nil
	case ".org":
		return org, isFlow && org != "", nil
	case ".flow":
		return flow, isFlow && flow != "", nil
	case ".token":
		text = v.token
	case ".user":
		text = v.user
	case "page.number":
		return strconv.Itoa(v.page.number), true, nil
	case "page.cursor":
		text = v.page.cursor
	case "page.id":
		text = v.page.oldest.ID
	default:
		at := v.last
		if group == "page" {
			at = v.page.oldest
		}
		if name == "id" {
			text = at.ID
			break
		}
		text = at.timeAs(name)
	}
	return text, text != "", nil
}

// timeAs writes the time of a place, a millisecond early: whether the app takes what
// is of the very same time or not, it is in the answer.
func (p place) timeAs(form string) string {
	if p.Time == 0 {
		return ""
	}
	ms := p.Time - 1
	switch form {
	case "millis":
		return strconv.FormatInt(ms, 10)
	case "seconds":
		return strconv.FormatInt(ms/1000, 10)
	case "time":
		return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return ""
}

// request makes a request of a question.
func (p *plan) request(q *question, v values) (*Request, error) {
	v.token, v.user = p.Token, p.User
	r := &Request{Server: q.server, Header: http.Header{}, Limit: int(p.decoder.MaxBody())}
	var err error
	if r.URI, err = q.fill(&v); err != nil {
		return nil, err
	}
	for _, h := range p.headers {
		value, err := h.value.Fill(&v)
		if err != nil {
			return nil, err
		}
		r.Header.Add(h.name, value)
	}
	if p.Preset != "" {
		if preset, err := findPreset(p.Preset); err == nil && preset.basic != nil {
			user, password := preset.basic(p.User, p.Token)
			setBasic(r.Header, user, password)
		}
	}
	if v.token != "" {
		v.token = masked
	}
	r.Shown, err = q.fill(&v)
	return r, err
}

func setBasic(h http.Header, user, password string) {
	r := http.Request{Header: h}
	r.SetBasicAuth(user, password)
}
