package forwardauth

import (
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// Config says how the backend is asked whether a client may listen to a
// channel. It must say something: either a request, or a preset, or None.
type Config struct {
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
	// Headers are sent along. Where the request uses `{token}`, `{username}` or
	// `{password}`, the client's credential is not sent as it came; a header
	// with one of them is left out for clients that have no token.
	Headers []Field `json:"headers,omitempty"`
	// Form is the body of a POST.
	Form []Field `json:"form,omitempty"`

	// Identity is the URI to ask for the client's own user, where the answer
	// about a channel does not name it. Needed for private messages
	// (`user=1`) without any channel.
	Identity string `json:"identity,omitempty"`

	// Credentials are places where clients carry their token, other than
	// Authorization and `access_token`: headers, or parameters of the query. The
	// token is passed on in the same place, unless the request uses `{token}`.
	// Default: none.
	Credentials []Place `json:"credentials,omitempty"`
	// Cookies are the names of the cookies that the backend knows a browser
	// by. They are sent to it only for clients without a token, and other
	// cookies never are. Default: none.
	Cookies []string `json:"cookies,omitempty"`
	// Anonymous asks the backend also for clients without any credentials,
	// which are refused otherwise.
	Anonymous bool `json:"anonymous,omitempty"`

	// HistoryShown says how much of the past replay gives: `all`; `since_join`,
	// only what was said since the client's user joined the channel, as far as
	// the history knows, or otherwise since Sidestream has first seen that the
	// user may listen; `none`. What is left out is told as a gap. Default: what
	// the preset's app shows to a new member (`since_join` for `matrix` and
	// `zulip`), otherwise `all`.
	HistoryShown string `json:"history_shown,omitempty"`

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
}

// Field is a name with a value, in order: of headers or forms.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// With is the configuration with placeholders replaced in what is sent.
func (c Config) With(replace func(string) string) Config {
	c.URI, c.Identity = replace(c.URI), replace(c.Identity)
	c.Headers, c.Form = slices.Clone(c.Headers), slices.Clone(c.Form)
	for _, fields := range [][]Field{c.Headers, c.Form} {
		for i := range fields {
			fields[i].Value = replace(fields[i].Value)
		}
	}
	return c
}

// fieldTemplate is a Field whose value was read.
type fieldTemplate struct {
	name  string
	value *template
}

// read checks the configuration and makes it ready to ask.
func (a *Auth) read() error {
	c := &a.config
	if c.None {
		if c.URI != "" || c.Preset != "" {
			return fmt.Errorf("none and a request exclude each other")
		}
		return nil
	}
	if c.Preset != "" {
		if err := c.applyPreset(); err != nil {
			return err
		}
	}
	if c.Method == "" {
		c.Method = http.MethodGet
	}
	if c.Method != http.MethodGet && c.Method != http.MethodPost {
		return fmt.Errorf("the backend is asked with GET (or POST, with a form), not with %s", c.Method)
	}
	if len(c.Form) > 0 && c.Method != http.MethodPost {
		return fmt.Errorf("a form needs POST")
	}
	for _, status := range c.Status {
		if status < 200 || status > 299 {
			return fmt.Errorf("an answer with status %d cannot allow; use one from 200 to 299", status)
		}
	}
	for _, place := range c.Credentials {
		if err := place.Check(); err != nil {
			return err
		}
	}
	if err := CheckShown(c.HistoryShown); c.HistoryShown != "" && err != nil {
		return err
	}
	if c.HistoryShown == ShownSinceJoin && c.UserJSON == "" && c.UserHeader == "" {
		return fmt.Errorf("history shown %s needs to know who the client is; write for example: user json id", ShownSinceJoin)
	}
	for _, read := range []func() error{a.readRequest, a.readConditions, a.readPaths} {
		if err := read(); err != nil {
			return err
		}
	}
	return nil
}

// readRequest reads what is sent.
func (a *Auth) readRequest() error {
	c := &a.config
	var err error
	if a.uri, err = parseURI(c.URI, questionVariables); err != nil {
		return err
	}
	if c.Identity != "" {
		if a.identity, err = parseURI(c.Identity, secretVariables); err != nil {
			return fmt.Errorf("identity: %w", err)
		}
	}
	for _, h := range c.Headers {
		name := textproto.CanonicalMIMEHeaderKey(h.Name)
		if notYours(name) {
			return fmt.Errorf("header %s is not yours to set", name)
		}
		t, err := parseTemplate(h.Value, questionVariables)
		if err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
		a.headers = append(a.headers, fieldTemplate{name, t})
	}
	for _, f := range c.Form {
		t, err := parseTemplate(f.Value, questionVariables)
		if err != nil {
			return fmt.Errorf("form %s: %w", f.Name, err)
		}
		a.form = append(a.form, fieldTemplate{f.Name, t})
	}
	a.translates = a.uri.uses(secretVariables...) || a.identity.uses(secretVariables...) ||
		slices.ContainsFunc(slices.Concat(a.headers, a.form), func(f fieldTemplate) bool { return f.value.uses(secretVariables...) })
	return nil
}

// notYours tells whether a header of the question belongs to us or to the
// connection.
func notYours(name string) bool {
	switch name {
	case "Connection", "Upgrade", "Te", "Trailer", "Transfer-Encoding", "Content-Length", "Cookie", "Range", "Accept-Encoding", CheckHeader:
		return true
	}
	return false
}

func (a *Auth) readConditions() error {
	for _, c := range slices.Concat(a.config.AllowJSON, a.config.DenyJSON) {
		if err := c.provision(); err != nil {
			return fmt.Errorf("condition on %q: %w", c.Path, err)
		}
	}
	return nil
}

// readPaths reads where the answer has what else is wanted of it.
func (a *Auth) readPaths() error {
	c := &a.config
	if c.UserJSON != "" && c.UserHeader != "" {
		return fmt.Errorf("the user is found by json or by header, not by both")
	}
	var err error
	if c.UserJSON != "" {
		if a.userPath, err = parsePath(c.UserJSON); err != nil {
			return fmt.Errorf("user: %w", err)
		}
	}
	if c.ListJSON != "" {
		if a.listPath, err = parsePath(c.ListJSON); err != nil {
			return fmt.Errorf("list: %w", err)
		}
		if a.uri.uses("channel", "org", "flow") {
			return fmt.Errorf("a request whose answer lists all channels names none of them")
		}
	}
	if c.Identity != "" && c.UserJSON == "" && c.UserHeader == "" {
		return fmt.Errorf("identity needs to know where the answer names the user; write for example: user json id")
	}
	return nil
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
