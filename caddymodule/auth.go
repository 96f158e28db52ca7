package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/stream/access"
)

// Auth says how the backend is asked whether a client may listen to a channel.
// It must be configured: either a request, or None.
type Auth struct {
	// None lets everybody listen to everything, without asking.
	None bool `json:"none,omitempty"`

	// Preset fills in request, condition and user for a known backend; what is
	// set beside it wins. One of `campfire` (once-campfire, by cookie),
	// `campfire_classic`, `flowdock`, `mattermost`, `matrix`, `rocketchat`,
	// `zulip`, `discourse`, `laravel`.
	Preset string `json:"preset,omitempty"`

	// Method is `GET`, or `POST` for the few backends that answer the question
	// only to a form. Default: `GET`.
	Method string `json:"method,omitempty"`
	// URI is what to request from the backend. `{channel}` stands for the
	// channel, as one segment of a path or one value of a query; `{org}` and
	// `{flow}` for its parts, if it is named `org/flow`; `{token}` for the
	// client's token, which is what follows Bearer, or access_token, or the
	// user of Basic; `{username}` and `{password}` for the two parts of Basic.
	URI string `json:"uri,omitempty"`
	// Headers are sent along. If one of them uses `{token}`, the client's own
	// Authorization header is not sent; a header with `{token}` is left out
	// for clients that have none.
	Headers []Field `json:"headers,omitempty"`
	// Form is the body of a POST.
	Form []Field `json:"form,omitempty"`

	// Identity is the URI to ask for the client's own user, where the answer
	// about a channel does not name it. Needed for private messages
	// (`user=1`) without any channel.
	Identity string `json:"identity,omitempty"`

	// Cookies are the names of the cookies that the backend knows a browser
	// by. They are sent to it only for clients without a token, and other
	// cookies never are. Default: none.
	Cookies []string `json:"cookies,omitempty"`
	// Anonymous asks the backend also for clients without any credentials,
	// which are refused otherwise.
	Anonymous bool `json:"anonymous,omitempty"`

	// Status are the answers that allow, if AllowJSON holds as well.
	// Default: all from 200 to 299.
	Status []int `json:"status,omitempty"`
	// AllowJSON must all hold for the answer's JSON.
	AllowJSON []*Condition `json:"allow_json,omitempty"`
	// ListJSON is the path of the names of all channels that the client may
	// listen to, as in `joined_rooms.*`, if the answer lists them. Then the
	// request has no `{channel}`, and one answer serves all channels.
	ListJSON string `json:"list_json,omitempty"`
	// DenyJSON: if one of them holds the client is denied, whatever the status.
	DenyJSON []*Condition `json:"deny_json,omitempty"`

	// UserJSON is the path of the user's id in the answer.
	UserJSON string `json:"user_json,omitempty"`
	// UserHeader is the header of the answer that has the user's id.
	UserHeader string `json:"user_header,omitempty"`

	// Timeout bounds one question. Default: `3s`.
	Timeout caddy.Duration `json:"timeout,omitempty"`
	// Cache is how long an answer that allows is used for other streams of the
	// same client. Default: `30s`.
	Cache caddy.Duration `json:"cache,omitempty"`
	// Negative is how long an answer that refuses is used; one that does not
	// accept the credentials for 2 s at most. Default: `5s`.
	Negative caddy.Duration `json:"negative,omitempty"`
	// Recheck is how often the backend is asked again while a stream runs.
	// Default: `60s`.
	Recheck caddy.Duration `json:"recheck,omitempty"`
	// Grace is how long a stream goes on while the backend does not answer.
	// New streams are refused at once. Default: `3m`.
	Grace caddy.Duration `json:"grace,omitempty"`
	// MaxInFlight bounds the questions that run at one time. Default: 32.
	MaxInFlight int `json:"max_in_flight,omitempty"`

	// Filter says what happens to a stream of several channels of which one is
	// denied: `all` refuses the stream (default), `intersect` serves the
	// others.
	Filter string `json:"filter,omitempty"`
	// Hide answers 404 where the backend said 403, so that nobody learns which
	// channels exist.
	Hide bool `json:"hide,omitempty"`

	uri, identity *template
	headers, form []fieldTemplate
	translates    bool
	userPath      []string
	listPath      []string
}

// Field is a name with a value, in order: of headers or forms.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type fieldTemplate struct {
	name  string
	value *template
}

const (
	filterAll       = "all"
	filterIntersect = "intersect"
)

// Defaults of Auth.
const (
	defaultAuthTimeout = 3 * time.Second
	defaultAuthCache   = 30 * time.Second
	defaultNegative    = 5 * time.Second
	defaultRecheck     = time.Minute
	defaultGrace       = 3 * time.Minute
	defaultMaxInFlight = 32
)

// provision checks the configuration and makes it ready to ask.
func (a *Auth) provision(repl *caddy.Replacer) error {
	if a.None {
		if a.URI != "" || a.Preset != "" {
			return fmt.Errorf("auth: none and a request exclude each other")
		}
		return nil
	}
	if a.Preset != "" {
		if err := a.applyPreset(); err != nil {
			return err
		}
	}
	if a.Method == "" {
		a.Method = http.MethodGet
	}
	if a.Method != http.MethodGet && a.Method != http.MethodPost {
		return fmt.Errorf("auth: the backend is asked with GET (or POST, with a form), not with %s", a.Method)
	}
	if len(a.Form) > 0 && a.Method != http.MethodPost {
		return fmt.Errorf("auth: a form needs POST")
	}
	for _, d := range []struct {
		value *caddy.Duration
		def   time.Duration
		name  string
	}{
		{&a.Timeout, defaultAuthTimeout, "timeout"}, {&a.Cache, defaultAuthCache, "cache"},
		{&a.Negative, defaultNegative, "negative"}, {&a.Recheck, defaultRecheck, "recheck"}, {&a.Grace, defaultGrace, "grace"},
	} {
		if *d.value < 0 {
			return fmt.Errorf("auth: %s is negative", d.name)
		}
		if *d.value == 0 {
			*d.value = caddy.Duration(d.def)
		}
	}
	if a.MaxInFlight <= 0 {
		a.MaxInFlight = defaultMaxInFlight
	}
	switch a.Filter {
	case "":
		a.Filter = filterAll
	case filterAll, filterIntersect:
	default:
		return fmt.Errorf("auth: filter is all or intersect, not %q", a.Filter)
	}
	for _, status := range a.Status {
		if status < 200 || status > 299 {
			return fmt.Errorf("auth: an answer with status %d cannot allow; use one from 200 to 299", status)
		}
	}
	if err := a.provisionRequest(repl); err != nil {
		return err
	}
	for _, c := range slices.Concat(a.AllowJSON, a.DenyJSON) {
		if err := c.provision(); err != nil {
			return fmt.Errorf("auth: condition on %q: %w", c.Path, err)
		}
	}
	if a.UserJSON != "" && a.UserHeader != "" {
		return fmt.Errorf("auth: the user is found by json or by header, not by both")
	}
	if a.UserJSON != "" {
		var err error
		if a.userPath, err = parsePath(a.UserJSON); err != nil {
			return fmt.Errorf("auth: user: %w", err)
		}
	}
	if a.ListJSON != "" {
		var err error
		if a.listPath, err = parsePath(a.ListJSON); err != nil {
			return fmt.Errorf("auth: list: %w", err)
		}
		if a.uri.uses("channel", "org", "flow") {
			return fmt.Errorf("auth: a request whose answer lists all channels names none of them")
		}
	}
	if a.Identity != "" && a.UserJSON == "" && a.UserHeader == "" {
		return fmt.Errorf("auth: identity needs to know where the answer names the user; write for example: user json id")
	}
	return nil
}

func (a *Auth) provisionRequest(repl *caddy.Replacer) error {
	var err error
	if a.uri, err = parseURI(repl.ReplaceKnown(a.URI, ""), questionVariables); err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	if a.Identity != "" {
		if a.identity, err = parseURI(repl.ReplaceKnown(a.Identity, ""), secretVariables); err != nil {
			return fmt.Errorf("auth: identity: %w", err)
		}
	}
	a.headers, a.form = nil, nil
	for _, h := range a.Headers {
		name := textproto.CanonicalMIMEHeaderKey(h.Name)
		switch name {
		case "Connection", "Upgrade", "Te", "Trailer", "Transfer-Encoding", "Content-Length", "Cookie", "Range", "Accept-Encoding", checkHeader:
			return fmt.Errorf("auth: header %s is not yours to set", name)
		}
		t, err := parseTemplate(repl.ReplaceKnown(h.Value, ""), questionVariables)
		if err != nil {
			return fmt.Errorf("auth: header %s: %w", name, err)
		}
		a.headers = append(a.headers, fieldTemplate{name, t})
	}
	for _, f := range a.Form {
		t, err := parseTemplate(repl.ReplaceKnown(f.Value, ""), questionVariables)
		if err != nil {
			return fmt.Errorf("auth: form %s: %w", f.Name, err)
		}
		a.form = append(a.form, fieldTemplate{f.Name, t})
	}
	a.translates = a.uri.uses(secretVariables...) || a.identity.uses(secretVariables...) ||
		slices.ContainsFunc(slices.Concat(a.headers, a.form), func(f fieldTemplate) bool { return f.value.uses(secretVariables...) })
	return nil
}

// gateConfig is what the gate is told of this configuration.
func (a *Auth) gateConfig() access.Config {
	return access.Config{
		Allowed: time.Duration(a.Cache), Denied: time.Duration(a.Negative),
		BadCredential: min(time.Duration(a.Negative), 2*time.Second),
		MaxInFlight:   a.MaxInFlight, Timeout: time.Duration(a.Timeout),
		Cadence: time.Duration(a.Recheck), Grace: time.Duration(a.Grace),
	}
}

// parseURI reads the template of an address on the backend. Its host is the
// backend's, always: nothing in it can lead elsewhere.
func parseURI(text string, names []string) (*template, error) {
	if !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") {
		return nil, fmt.Errorf("the request's path must begin with one slash, as in GET /room/{channel}.json")
	}
	if strings.ContainsAny(text, "# \t\r\n\\") {
		return nil, fmt.Errorf("the request's path %q has a character that no path has", text)
	}
	return parseTemplate(text, names)
}

// ask puts one question to the backend. The error tells the operator why there
// is no answer; it holds no secrets.
func (a *Auth) ask(ctx context.Context, b *backend, q *question) (access.Verdict, error) {
	uri, method := a.uri, a.Method
	if q.channel == "" && !q.list {
		uri, method = a.identity, http.MethodGet
	} else if uri.uses("org", "flow") && !strings.Contains(q.channel, "/") {
		return access.Verdict{Outcome: access.Denied, Cause: access.NotFound}, nil
	}
	shown, secret := a.secrets(uri, method, q)
	limit := maxAnswer
	if q.list {
		limit = maxList
	}
	answer, err := b.ask(ctx, method, shown, q.client, secret, limit)
	if err != nil {
		return access.Verdict{}, err
	}
	return a.read(answer, q), nil
}

// secrets makes what the backend gets, apart from what logs may show.
func (a *Auth) secrets(uri *template, method string, q *question) (shown string, s *secrets) {
	s = &secrets{header: http.Header{}}
	c := q.client.credential
	if !a.translates && c.authorization != "" {
		s.header.Set("Authorization", c.authorization)
	}
	if c.cookie != "" {
		s.header.Set("Cookie", c.cookie)
	}
	for _, h := range a.headers {
		if c.token != "" || !h.value.uses(secretVariables...) {
			s.header[h.name] = []string{h.value.expand(q, nil)}
		}
	}
	shown = uri.expand(q, escapeURI)
	if uri.uses(secretVariables...) {
		full, err := url.ParseRequestURI(shown)
		if err == nil {
			s.uri = full
		}
		hidden := *q.client
		hidden.credential.token, hidden.credential.password = masked, masked
		shown = uri.expand(&question{client: &hidden, channel: q.channel}, escapeURI)
	}
	if method == http.MethodPost {
		form := make([]string, len(a.form))
		for i, f := range a.form {
			form[i] = url.QueryEscape(f.name) + "=" + url.QueryEscape(f.value.expand(q, nil))
		}
		s.body = strings.Join(form, "&")
		s.header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return shown, s
}

// errNoAuth is the error of a configuration that says nothing of access.
var errNoAuth = errors.New("auth is missing: say how the backend is asked who may listen, as in " +
	"`auth GET /room/{channel}.json`, or write `auth none` if everybody may")
