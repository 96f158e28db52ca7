package pull

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// DoorbellConfig says how an app is heard that tells a bot at once when something is
// new. What it tells is only a poke: the truth is what a pull then reads.
type DoorbellConfig struct {
	// The kind: `mattermost` (the WebSocket of a bot), `zulip` (an event queue),
	// `websocket` or `sse`. Required.
	Kind string `json:"kind"`
	// The address. For `mattermost` and `zulip` it is the app's own, as in
	// `https://chat.example.com`; default: the backend's. For `websocket` and `sse`,
	// which need one, it is a path of the backend, or a whole address.
	Address string `json:"address,omitempty"`
	// The credential of the bot, and its name for `zulip`. In headers, and in what is
	// sent, they are `{token}` and `{user}`.
	Token string `json:"token,omitempty"`
	User  string `json:"user,omitempty"`
	// Headers of the request.
	Headers []Header `json:"headers,omitempty"`
	// What is sent over a WebSocket when it is open.
	Send []string `json:"send,omitempty"`
	// Which channel a message is about, as in `{json.room}`. Required for
	// `websocket` and `sse`.
	Poke []decode.PokeRule `json:"poke,omitempty"`
}

// The kinds of doorbells.
const (
	doorbellMattermost = "mattermost"
	doorbellZulip      = "zulip"
	doorbellWebSocket  = "websocket"
	doorbellSSE        = "sse"
)

// DoorbellKinds are the kinds of doorbells.
var DoorbellKinds = []string{doorbellMattermost, doorbellSSE, doorbellWebSocket, doorbellZulip}

// Option sets one option of the configuration from words, as a line of a Caddyfile has
// them.
func (c *DoorbellConfig) Option(name string, args []string) error {
	var err error
	switch name {
	case "token":
		err = decode.SetText(&c.Token, args, "the bot's credential, as in token {env.BOT_TOKEN}")
	case "user":
		err = decode.SetText(&c.User, args, "the bot's name, as in user bot@example.com")
	case "send":
		if len(args) != 1 {
			err = errors.New("expected one text, in quotes if it has spaces")
			break
		}
		c.Send = append(c.Send, args[0])
	case "header":
		if len(args) != 2 {
			err = errors.New("expected a name and a value, as in header Authorization \"Bearer {token}\"")
			break
		}
		c.Headers = append(c.Headers, Header{args[0], args[1]})
	case "poke":
		var rules decode.Config
		if err = rules.Option(name, args); err != nil {
			return err
		}
		c.Poke = append(c.Poke, rules.Poke...)
	default:
		return fmt.Errorf("unknown option %q; the options are header, poke, send, token and user", name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Check refuses a configuration that cannot work.
func (c *DoorbellConfig) Check() error {
	_, err := newBell(*c)
	return err
}

// bell is a checked DoorbellConfig.
type bell struct {
	DoorbellConfig
	decoder *decode.Decoder
	headers []compiledHeader
}

// credentials are the names in headers and in what is sent.
var credentials = &decode.Vocabulary{Variables: []string{"token", "user"}, Other: placeholder}

func newBell(c DoorbellConfig) (*bell, error) {
	switch {
	case !slices.Contains(DoorbellKinds, c.Kind):
		return nil, fmt.Errorf("unknown kind %q; the kinds are %s", c.Kind, strings.Join(DoorbellKinds, ", "))
	case c.Kind == doorbellMattermost:
		// Mattermost, api/v4/websocket: the first message may prove who one is.
		if c.Address == "" || strings.Contains(c.Address, "://") {
			c.Address += "/api/v4/websocket"
		}
		if len(c.Headers) == 0 {
			c.Headers = []Header{{"Authorization", "Bearer {token}"}}
		}
		c.Poke = append(c.Poke, decode.PokeRule{
			Channel: "{json.broadcast.channel_id}", When: "{json.event} in posted post_edited post_deleted",
		})
	case c.Kind == doorbellZulip:
		c.Poke = append(c.Poke, decode.PokeRule{Channel: "{json.message.stream_id ?? json.stream_id}"})
	case c.Address == "":
		return nil, errors.New("the address is missing, as in doorbell sse /events")
	case len(c.Poke) == 0:
		return nil, errors.New("nothing says which channel a message is about; write for example poke {json.room.id}")
	}
	if (c.Kind == doorbellMattermost || c.Kind == doorbellZulip) && c.Token == "" {
		return nil, errors.New("the token of the bot is missing, as in token {env.BOT_TOKEN}")
	}
	b := &bell{DoorbellConfig: c}
	var err error
	if b.decoder, err = decode.NewDecoder(decode.Config{Format: decode.JSON, Poke: c.Poke}); err != nil {
		return nil, err
	}
	for _, h := range c.Headers {
		t, err := credentials.Template(h.Value)
		if err != nil || h.Name == "" || strings.ContainsAny(h.Name, " :\r\n") {
			return nil, fmt.Errorf("header %s: %w", h.Name, errOr(err, errHeader))
		}
		b.headers = append(b.headers, compiledHeader{h.Name, t})
	}
	return b, nil
}

// DoorbellOptions are what a Doorbell needs from its surroundings.
type DoorbellOptions struct {
	// Server is the app's address where the configuration has a path or nothing:
	// scheme and host.
	Server string
	// Host is the Host header of requests to Server, if it is another one.
	Host string
	// Poke is told of what is heard. An empty channel stands for all of them: the
	// doorbell was not there for a while. It must not block.
	Poke func(event.Poke)
	// Logger takes what goes wrong, at a bounded rate. Default: slog.Default().
	Logger *slog.Logger
}

// Doorbell listens to an app, and pokes. Make one with NewDoorbell, and call Run once.
type Doorbell struct {
	bell    *bell
	options DoorbellOptions
	client  *http.Client

	mu   sync.Mutex
	told time.Time
}

// NewDoorbell checks a configuration. Nothing is connected before Run.
func NewDoorbell(c DoorbellConfig, o DoorbellOptions) (*Doorbell, error) {
	b, err := newBell(c)
	if err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	d := &Doorbell{bell: b, options: o, client: &http.Client{
		Transport:     &http.Transport{TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 2 * time.Minute, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if _, err := d.address(""); err != nil {
		return nil, err
	}
	return d, nil
}

// errAddress is the error of a doorbell whose app has no address.
var errAddress = errors.New("the address of the app is not known here; write it behind the kind, as in doorbell mattermost https://chat.example.com")

// address is that of the app, with a path behind it.
func (d *Doorbell) address(path string) (*url.URL, error) {
	text := d.bell.Address
	if !strings.Contains(text, "://") {
		if d.options.Server == "" {
			return nil, errAddress
		}
		text = d.options.Server + text
	}
	u, err := url.Parse(strings.TrimSuffix(text, "/") + path)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, errAddress
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	case "http", "https":
	default:
		return nil, errAddress
	}
	return u, nil
}

// header is that of a request.
func (d *Doorbell) header() http.Header {
	h := http.Header{"User-Agent": {"Sidestream"}}
	for _, own := range d.bell.headers {
		value, _ := own.value.Fill(&values{token: d.bell.Token, user: d.bell.User}) // has no error: it reads no JSON
		h.Add(own.name, value)
	}
	if d.bell.Kind == doorbellZulip && len(d.bell.headers) == 0 {
		setBasic(h, d.bell.User, d.bell.Token)
	}
	return h
}

// host is the Host header for an address, empty if it is the address's own.
func (d *Doorbell) host() string {
	if strings.Contains(d.bell.Address, "://") {
		return ""
	}
	return d.options.Host
}

// Run listens until ctx ends. After each time that it was not there, everything is
// poked.
func (d *Doorbell) Run(ctx context.Context) {
	defer d.client.CloseIdleConnections()
	for failures := 0; ctx.Err() == nil; {
		began := time.Now()
		var err error
		switch d.bell.Kind {
		case doorbellZulip:
			err = d.hearQueue(ctx)
		case doorbellSSE:
			err = d.hearEvents(ctx)
		default:
			err = d.hearWebSocket(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if failures++; time.Since(began) > longestPause {
			failures = 1
		}
		d.report(err)
		select {
		case <-time.After(backoff(firstPause, longestPause, failures)):
		case <-ctx.Done():
		}
	}
}

// open says that the app is heard from now on.
func (d *Doorbell) open() { d.options.Poke(event.Poke{Why: "a doorbell was not there for a while"}) }

// ring pokes the channels that a message is about.
func (d *Doorbell) ring(message []byte) {
	decoded, err := d.bell.decoder.Decode(decode.Input{Body: message})
	if err != nil {
		return // it is no message of those that are asked for
	}
	for _, channel := range decoded.Poke {
		d.options.Poke(event.Poke{Channel: channel, Why: "a doorbell"})
	}
}

// report logs that the app is not heard, once a minute.
func (d *Doorbell) report(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); now.Sub(d.told) >= tellEvery {
		d.told = now
		d.options.Logger.Warn("a doorbell of the app is not heard; trying again", "doorbell", d.bell.Kind, "error", err)
	}
}
