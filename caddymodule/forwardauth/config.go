package forwardauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-078801ba/sidestream/webhook/decode"
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
	// client's token, which is what follows the scheme of Authorization, or
	// access_token, or the user of Basic; `{username}` and `{password}` for the
	// two parts of Basic. Caddy's placeholders of the client's request stand
	// for what they are when the stream is opened, as in `{http.auth.user.id}`.
	// A value may have alternatives and filters, as in the mapping of webhooks:
	// `{channel|lower}`.
	URI string `json:"uri,omitempty"`
	// Host is what the backend is asked under. It is fixed: a client's Host never
	// reaches the backend. Default: the Host that the backend's `header_up` sets,
	// else the name of the site, else the address of the backend.
	Host string `json:"host,omitempty"`
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

	// AllChannels says that an answer is for all channels, where the request
	// names none. Without it such a request is refused, because one yes would
	// open every channel.
	AllChannels bool `json:"all_channels,omitempty"`

	// Status are the answers that allow, if the conditions hold as well.
	// Default: all from 200 to 299.
	Status []int `json:"status,omitempty"`
	// Allow are conditions that must all be proved by the answer, as in
	// `{json.role} in member admin`. What is not there proves nothing.
	Allow []string `json:"allow,omitempty"`
	// AllowJSON are the same, taken apart.
	AllowJSON []*Condition `json:"allow_json,omitempty"`
	// Deny are conditions of which one is enough to deny, whatever the status.
	Deny []string `json:"deny,omitempty"`
	// DenyJSON are the same, taken apart. A path that leads nowhere makes them
	// false.
	DenyJSON []*Condition `json:"deny_json,omitempty"`
	// List is where the answer has the names of all channels that the client
	// may listen to, as in `{json.joined_rooms.*}`, if it lists them. Then the
	// request has no `{channel}`, and one answer serves all channels.
	List string `json:"list,omitempty"`
	// ListJSON is the same, as a path: `joined_rooms.*`.
	ListJSON string `json:"list_json,omitempty"`

	// User is where the answer has the user's id, as in
	// `{json.user.id ?? json.user_id}`.
	User string `json:"user,omitempty"`
	// UserJSON is the same, as a path: `user.id`.
	UserJSON string `json:"user_json,omitempty"`
	// UserHeader is the header of the answer that has the user's id.
	UserHeader string `json:"user_header,omitempty"`
}

// Field is a name with a value, in order: of headers or forms.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// With is the configuration with placeholders replaced in what is sent and in
// what is compared with.
func (c Config) With(replace func(string) string) Config {
	c.URI, c.Identity, c.Host = replace(c.URI), replace(c.Identity), replace(c.Host)
	c.Headers, c.Form = slices.Clone(c.Headers), slices.Clone(c.Form)
	for _, fields := range [][]Field{c.Headers, c.Form} {
		for i := range fields {
			fields[i].Value = replace(fields[i].Value)
		}
	}
	c.Allow, c.Deny = slices.Clone(c.Allow), slices.Clone(c.Deny)
	for _, conditions := range [][]string{c.Allow, c.Deny} {
		for i := range conditions {
			conditions[i] = replace(conditions[i])
		}
	}
	c.AllowJSON, c.DenyJSON = slices.Clone(c.AllowJSON), slices.Clone(c.DenyJSON)
	for _, conditions := range [][]*Condition{c.AllowJSON, c.DenyJSON} {
		for i := range conditions {
			replaced := *conditions[i]
			replaced.Value = replace(replaced.Value)
			conditions[i] = &replaced
		}
	}
	return c
}

// fieldTemplate is a Field whose value was read.
type fieldTemplate struct {
	name  string
	value *decode.Template
}

// read checks the configuration and makes it ready to ask.
func (a *Auth) read() error {
	c := &a.config
	if c.None {
		if c.URI != "" || c.Preset != "" {
			return errors.New("none and a request exclude each other")
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
		return errors.New("a form needs POST")
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
	if c.HistoryShown == ShownSinceJoin && c.UserJSON == "" && c.User == "" && c.UserHeader == "" {
		return fmt.Errorf("history shown %s needs to know who the client is; write for example: user json id", ShownSinceJoin)
	}
	v := new(vocabulary)
	for _, read := range []func(*vocabulary) error{a.readRequest, a.readConditions, a.readFindings} {
		if err := read(v); err != nil {
			return err
		}
	}
	a.placeholders = v.placeholders
	a.usesPassword = slices.ContainsFunc(a.texts(), func(t *decode.Template) bool { return t.Uses("password") }) ||
		slices.ContainsFunc(slices.Concat(a.allow, a.deny), func(c condition) bool { return strings.Contains(c.String(), "password") })
	return a.checkChannel()
}

// readRequest reads what is sent.
func (a *Auth) readRequest(v *vocabulary) error {
	c := &a.config
	var err error
	if a.uri, err = readURI(v.questions(), c.URI); err != nil {
		return err
	}
	if c.Identity != "" {
		if a.identity, err = readURI(v.identities(), c.Identity); err != nil {
			return fmt.Errorf("identity: %w", err)
		}
	}
	if c.Host != "" {
		c.Headers = append(slices.Clone(c.Headers), Field{"Host", c.Host})
	}
	for _, h := range c.Headers {
		name := textproto.CanonicalMIMEHeaderKey(h.Name)
		if notYours(name) {
			return fmt.Errorf("header %s is not yours to set", name)
		}
		t, err := v.questions().Template(h.Value)
		if err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
		if _, fixed := t.Constant(); name == "Host" && !fixed {
			return fmt.Errorf("host %s: the host chooses the app's virtual host, so the configuration must fix it", h.Value)
		}
		a.headers = append(a.headers, fieldTemplate{name, t})
	}
	for _, f := range c.Form {
		t, err := v.questions().Template(f.Value)
		if err != nil {
			return fmt.Errorf("form %s: %w", f.Name, err)
		}
		a.form = append(a.form, fieldTemplate{f.Name, t})
	}
	for _, t := range a.texts() {
		a.translates = a.translates || t.Uses(secretNames...)
	}
	return nil
}

// texts are all that is sent.
func (a *Auth) texts() []*decode.Template {
	texts := []*decode.Template{a.uri}
	if a.identity != nil {
		texts = append(texts, a.identity)
	}
	for _, f := range slices.Concat(a.headers, a.form) {
		texts = append(texts, f.value)
	}
	return texts
}

// errAllChannels is the error of a request that is the same for every channel.
var errAllChannels = errors.New("the request names no channel, so one yes would open every channel. " +
	"Put {channel} into it, as in GET /room/{channel}.json, or {org} and {flow}. " +
	"If the answer lists the client's channels, write for example: list json rooms.*.id. " +
	"If the answer is really meant for all channels, write: all_channels")

// errManyChannels is the error of a request that may be the same for several.
var errManyChannels = errors.New("the request may be the same for several channels, so one yes would open them all: " +
	"an alternative stands before the channel, a filter takes a part of it away, or it is in a header with the token, which clients without a token do not have. " +
	"Put the whole {channel} into the request, or a part that tells it, as in {channel|re:^room-([0-9]+)$}. " +
	"If the answer is really meant for all of these channels, write: all_channels")

// checkChannel refuses a question whose answer has nothing to do with the
// channel.
func (a *Auth) checkChannel() error {
	names := func(names ...string) bool {
		return slices.ContainsFunc(a.questions(), func(t *decode.Template) bool { return t.Uses(names...) })
	}
	tells := func(name string) bool {
		return slices.ContainsFunc(a.questions(), func(t *decode.Template) bool { return t.Tells(name) && !a.leavesOut(t) })
	}
	c := &a.config
	switch {
	case a.list != nil && names(channelNames...):
		return errors.New("a request whose answer lists all channels names none of them")
	case a.list != nil, c.AllChannels, tells("channel"), tells("org") && tells("flow"):
		return nil
	}
	for _, condition := range a.allow {
		if condition.Tells("json", "channel") {
			return nil
		}
	}
	if names("channel") || names("org") && names("flow") {
		return errManyChannels
	}
	return errAllChannels
}

// questions are the texts of the question about a channel.
func (a *Auth) questions() []*decode.Template {
	return slices.DeleteFunc(a.texts(), func(t *decode.Template) bool { return t == a.identity })
}

// leavesOut tells whether a text is a header that some clients' questions do not
// have: it holds the token, and they may have none.
func (a *Auth) leavesOut(text *decode.Template) bool {
	mayHaveNone := len(a.config.Cookies) > 0 || a.config.Anonymous || len(a.placeholders) > 0
	return mayHaveNone && text.Uses(secretNames...) &&
		slices.ContainsFunc(a.headers, func(h fieldTemplate) bool { return h.value == text })
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

// readConditions reads what an answer must say.
func (a *Auth) readConditions(v *vocabulary) error {
	c := &a.config
	for _, of := range []struct {
		words string
		texts []string
		parts []*Condition
		to    *[]condition
	}{{"allow", c.Allow, c.AllowJSON, &a.allow}, {"deny", c.Deny, c.DenyJSON, &a.deny}} {
		for _, part := range of.parts {
			read, err := part.read(v, of.words)
			if err != nil {
				return fmt.Errorf("%s json %s: %w", of.words, part.Path, err)
			}
			*of.to = append(*of.to, read)
		}
		for _, text := range of.texts {
			read, err := v.answers().Condition(text)
			if err != nil {
				return fmt.Errorf("%s: %w", of.words, err)
			}
			*of.to = append(*of.to, condition{Condition: read, words: of.words, proof: of.words == "allow"})
		}
	}
	return nil
}

// readFindings reads where the answer has what else is wanted of it.
func (a *Auth) readFindings(v *vocabulary) error {
	c := &a.config
	if (c.UserJSON != "" || c.User != "") && c.UserHeader != "" || c.UserJSON != "" && c.User != "" {
		return errors.New("the user is found in one place only: write user json, user header, or user {json...}")
	}
	if c.ListJSON != "" && c.List != "" {
		return errors.New("the list is found in one place only: write list json, or list {json...}")
	}
	var err error
	if a.user, err = readFinding(v, c.User, c.UserJSON); err != nil {
		return fmt.Errorf("user: %w", err)
	}
	if a.list, err = readFinding(v, c.List, c.ListJSON); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	if c.Identity != "" && a.user == nil && c.UserHeader == "" {
		return errors.New("identity needs to know where the answer names the user; write for example: user json id")
	}
	return nil
}

// readFinding reads a place in the answer, in either way to write it; nil if
// there is none.
func readFinding(v *vocabulary, text, path string) (*finding, error) {
	switch {
	case path != "":
		p, err := answerPath(path)
		return &finding{text: "json " + path, path: p}, err
	case text == "":
		return nil, nil
	}
	t, err := v.answers().Template(text)
	if err == nil && !t.Uses("json") {
		err = fmt.Errorf("%q is no place in the answer; write for example {json.user.id}", text)
	}
	return &finding{text: text, template: t}, err
}

// readURI reads an address on the backend. Its host is the backend's, always:
// nothing in it can lead elsewhere.
func readURI(names *decode.Vocabulary, text string) (*decode.Template, error) {
	if !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") {
		return nil, errors.New("the request's path must begin with one slash, as in GET /room/{channel}.json")
	}
	if plain := holes.ReplaceAllString(text, ""); strings.ContainsAny(plain, "# \t\r\n\\") {
		return nil, fmt.Errorf("the request's path %q has a character that no path has", text)
	}
	return names.Template(text)
}

// holes are what stands in braces.
var holes = regexp.MustCompile(`\{[^{}]*\}`)
