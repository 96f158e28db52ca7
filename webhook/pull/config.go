package pull

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Config says what is asked, how the answers are read, and how often. The zero value
// of every field is its default. A preset fills in everything that is not set here.
type Config struct {
	// The app that is read: `campfire` (once-campfire's API for bots),
	// `campfire_classic`, `discourse`, `flowdock`, `matrix`, `mattermost`,
	// `rocketchat`, `slack` or `zulip`. Default: none, then `uri` and `map` say
	// everything.
	Preset string `json:"preset,omitempty"`

	// A name that is unique in the hub: how far each channel was read is remembered
	// under it. Default: `pull`.
	Name string `json:"name,omitempty"`

	// The path and query that list what was said behind a message, oldest first:
	// `/room/{channel}/recent.json?since_message_id={last.id}`. Names are `channel`,
	// `org` and `flow` (the two parts of a channel `org/flow`), `last.id`,
	// `last.time` (RFC 3339), `last.millis`, `last.seconds`, `token` and `user`. A
	// parameter of the query whose value is not known is left out. With
	// `https://` in front, that server is asked instead of the backend.
	URI string `json:"uri,omitempty"`
	// The path and query that list the newest messages, for channels of which
	// nothing was read yet. Default: the same as `uri`, without what is not known.
	Newest string `json:"newest,omitempty"`
	// The path and query of the next page, where an app lists the newest first. It
	// may name `page.cursor`, `page.id` (of the oldest message so far),
	// `page.millis` and `page.number` (1 for the second page). Default: none; then
	// `uri` is asked again, with the newest message as the last one.
	Next string `json:"next,omitempty"`
	// Where an answer has `page.cursor`, as in `{json.response_metadata.next_cursor}`.
	// Without it in an answer there is no next page.
	Cursor string `json:"cursor,omitempty"`
	// Headers of every question.
	Headers []Header `json:"headers,omitempty"`
	// The credential of the reader, usually a bot, and its name where the app wants
	// one. Presets know where they belong. It must be one that may read the
	// channels; who may listen is asked by `auth` all the same.
	Token string `json:"token,omitempty"`
	User  string `json:"user,omitempty"`
	// A condition that an answer must meet to count, where an app says with 200
	// that something is wrong: `{json.ok} == true`.
	Expect string `json:"expect,omitempty"`
	// The id and the time by which an item stands in the app's list, if they are not
	// those of the message: `{item.update_at}` where a list has what was changed.
	LastID   string `json:"last_id,omitempty"`
	LastTime string `json:"last_time,omitempty"`

	// How often a channel is read while somebody listens. Default: 30s.
	Every decode.Duration `json:"every,omitempty"`
	// How many pages are read of one channel in a row. What does not fit is passed
	// over, and told as a gap. Default: 10.
	Pages int `json:"pages,omitempty"`
	// How long the app may take to commit a message: for so long, what was read is
	// read again. Default: 10s.
	Overlap decode.Duration `json:"overlap,omitempty"`
	// How many channels are read at the same time. Default: 8.
	InFlight int `json:"in_flight,omitempty"`
	// How many questions are asked in a second, all channels together. Default: 20.
	Rate int `json:"rate,omitempty"`
	// How long an answer may take. Default: 10s.
	Timeout decode.Duration `json:"timeout,omitempty"`
	// Channels that are read whether somebody listens or not.
	Always []string `json:"always,omitempty"`

	decode.Config
}

// Header is a header of the questions. Its value may have the names of `uri`.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Defaults of a Config.
const (
	DefaultName     = "pull"
	DefaultEvery    = 30 * time.Second
	DefaultPages    = 10
	DefaultOverlap  = 10 * time.Second
	DefaultInFlight = 8
	DefaultRate     = 20
	DefaultTimeout  = 10 * time.Second
	DefaultMaxBody  = 8 << 20
)

// plan is a checked Config.
type plan struct {
	Config
	behind, newest, next *question
	headers              []compiledHeader
	cursor               *decode.Template
	lastID, lastTime     *decode.Template
	expect               *decode.Condition
	decoder              *decode.Decoder
	// byTime: places are compared by their times, not by their ids.
	byTime bool
}

type compiledHeader struct {
	name  string
	value *decode.Template
}

// Check refuses a configuration that cannot work. Errors say what would be right,
// and hold no secrets.
func (c *Config) Check() error {
	_, err := newPlan(*c)
	return err
}

func newPlan(c Config) (*plan, error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	p := &plan{Config: c}
	var err error
	if p.behind, err = parseQuestion("uri", c.URI, false); err != nil {
		return nil, err
	}
	if p.newest = p.behind; c.Newest != "" {
		if p.newest, err = parseQuestion("newest", c.Newest, false); err != nil {
			return nil, err
		}
	}
	if c.Next != "" {
		if p.next, err = parseQuestion("next", c.Next, true); err != nil {
			return nil, err
		}
	}
	for _, h := range c.Headers {
		t, err := questions.Template(h.Value)
		if err != nil || h.Name == "" || strings.ContainsAny(h.Name, " :\r\n") {
			return nil, fmt.Errorf("header %s: %w", h.Name, errOr(err, errHeader))
		}
		p.headers = append(p.headers, compiledHeader{h.Name, t})
	}
	for _, t := range []struct {
		name, text string
		to         **decode.Template
	}{{"cursor", c.Cursor, &p.cursor}, {"last_id", c.LastID, &p.lastID}, {"last_time", c.LastTime, &p.lastTime}} {
		if t.text == "" {
			continue
		}
		if *t.to, err = decode.Answers().Template(t.text); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	if c.Expect != "" {
		if p.expect, err = decode.Answers().Condition(c.Expect); err != nil {
			return nil, fmt.Errorf("expect: %w", err)
		}
	}
	p.byTime = p.behind.uses("last", "time", "millis", "seconds")
	p.decoder, err = decode.NewDecoder(p.Config.Config)
	return p, err
}

var (
	errHeader = errors.New("it needs a name, as in header Authorization \"Bearer {token}\"")
	errNoURI  = errors.New("nothing says what to ask: give a preset, or a path, as in pull GET /room/{channel}/recent.json?since_message_id={last.id}")
)

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// fill takes over what the preset says, and the defaults.
func (c *Config) fill() error {
	c.Config.Preset = ""
	if c.Preset != "" {
		p, err := findPreset(c.Preset)
		if err != nil {
			return err
		}
		p.fill(c)
	}
	if c.URI == "" {
		return errNoURI
	}
	given := func(field string) bool {
		return slices.ContainsFunc(c.Map, func(r decode.MapRule) bool { return r.Field == field })
	}
	if given("to") {
		return errors.New("map to: what is read is of a channel; private messages have none here")
	}
	if !given("channel") { // what was asked for
		c.Map = append(slices.Clone(c.Map), decode.MapRule{Field: "channel", Value: "{path.channel}"})
	}
	if !given("id") && c.Config.Preset == "" {
		return errors.New("map id is missing: messages that are read again are known by their ids; write for example map id {item.id}")
	}
	if c.MaxBody == 0 {
		c.MaxBody = DefaultMaxBody
	}
	if c.Format == "" {
		c.Format = decode.JSON
	}
	for _, n := range []struct {
		name  string
		value *int
		def   int
	}{{"pages", &c.Pages, DefaultPages}, {"in_flight", &c.InFlight, DefaultInFlight}, {"rate", &c.Rate, DefaultRate}} {
		if *n.value < 0 {
			return fmt.Errorf("%s is %d; it must be at least 1", n.name, *n.value)
		}
		if *n.value == 0 {
			*n.value = n.def
		}
	}
	for _, d := range []struct {
		name  string
		value *decode.Duration
		def   time.Duration
	}{{"every", &c.Every, DefaultEvery}, {"overlap", &c.Overlap, DefaultOverlap}, {"timeout", &c.Timeout, DefaultTimeout}} {
		if *d.value < 0 {
			return fmt.Errorf("%s is negative", d.name)
		}
		if *d.value == 0 {
			*d.value = decode.Duration(d.def)
		}
	}
	if c.Name == "" {
		c.Name = DefaultName
	}
	for _, name := range c.Always {
		if err := event.CheckChannel(name); err != nil {
			return fmt.Errorf("always %q: %w", name, err)
		}
	}
	return nil
}

// Server is the server that is asked instead of the backend; empty if the backend is.
func (c Config) Server() string {
	if c.Preset != "" {
		if p, err := findPreset(c.Preset); err == nil {
			p.fill(&c)
		}
	}
	return serverOf(c.URI)
}

// serverOf is the scheme and host of an address that has them.
func serverOf(uri string) string {
	for _, scheme := range []string{"https://", "http://"} {
		if rest, ok := strings.CutPrefix(uri, scheme); ok {
			host, _, _ := strings.Cut(rest, "/")
			return scheme + host
		}
	}
	return ""
}

func checkServer(server string) error {
	if server == "" {
		return nil
	}
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(server, "{}?#") {
		return errors.New("its server is no fixed host; write for example https://chat.example.com/api/messages?room={channel}")
	}
	return nil
}
