package tambur

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// Tambur says which apps' clients may connect, and what their streams are called
// here.
type Tambur struct {
	endpoint.Place
	// Apps are those that Tambur.io has registered, or that were made up since.
	Apps []*App `json:"apps,omitempty"`
	// Channel is the channel of a stream, with {stream} and, if several apps shall
	// not share their streams, {app} with a slash or a colon behind it. Default:
	// `{stream}`.
	Channel string `json:"channel,omitempty"`
	// Open are the streams, as patterns, to which everybody may subscribe who knows
	// the app's key, as all were with Tambur.io. For all others, the backend is asked.
	Open []string `json:"open,omitempty"`
	// Clock is how far the clocks of publishers may be off. Default: `5m`.
	Clock endpoint.Duration `json:"clock,omitempty"`
	// AnyClock takes requests of any time.
	AnyClock bool `json:"any_clock,omitempty"`
	// ColonUsers takes user ids with colons. Without it they are refused: with them,
	// a token for one stream and user may be one for another stream and user.
	ColonUsers bool `json:"colon_users,omitempty"`
}

// App is an app of Tambur.io.
type App struct {
	// ID is the app's id, which stands in addresses.
	ID string `json:"id,omitempty"`
	// Key is the API key, which clients and publishers name.
	Key string `json:"key,omitempty"`
	// Secrets sign requests and tokens. Several are for the time in which one is
	// replaced; all of them count.
	Secrets []string `json:"secrets,omitempty"`
}

const (
	defaultChannel = "{stream}"
	defaultClock   = 5 * time.Minute
)

// Options implements endpoint.Kind.
func (*Tambur) Options() []string {
	return []string{"app", "channel", "clock", "colon_users", "open"}
}

// Option implements endpoint.Kind.
func (t *Tambur) Option(name string, args []string) (err error) {
	switch name {
	case "app":
		if len(args) < 3 {
			return errors.New("it needs an id, a key and a secret, as in: app ws-bot-1 {env.TAMBUR_KEY} {env.TAMBUR_SECRET}")
		}
		t.Apps = append(t.Apps, &App{ID: args[0], Key: args[1], Secrets: args[2:]})
	case "channel":
		if len(args) != 1 {
			return errors.New("it needs a name with {stream} in it, as in {app}/{stream}")
		}
		t.Channel = args[0]
		err = checkTemplate(t.Channel)
	case "open":
		if len(args) == 0 {
			return errors.New("it needs patterns of streams, as in news-*")
		}
		t.Open = append(t.Open, args...)
		err = checkPatterns(args)
	case "clock":
		if len(args) == 1 && args[0] == "off" {
			t.AnyClock = true
			return nil
		}
		t.Clock, err = endpoint.ParseDuration(args)
	case "colon_users":
		if len(args) > 0 {
			return errors.New("it is a switch, and takes no value")
		}
		t.ColonUsers = true
	}
	return err
}

// Usual implements endpoint.Kind.
func (*Tambur) Usual() bool { return false }

// Heartbeat implements endpoint.Kind: the pings of WebSockets.
func (*Tambur) Heartbeat() time.Duration { return 25 * time.Second }

// Resolve implements endpoint.Secretive.
func (t *Tambur) Resolve(resolve func(string) (string, error)) error {
	for _, app := range t.Apps {
		texts := []*string{&app.ID, &app.Key}
		for i := range app.Secrets {
			texts = append(texts, &app.Secrets[i])
		}
		for _, text := range texts {
			resolved, err := resolve(*text)
			if err != nil {
				return fmt.Errorf("tambur: app: %w", err)
			}
			*text = resolved
		}
	}
	return t.check()
}

// check refuses what can only be seen as a whole.
func (t *Tambur) check() error {
	if len(t.Apps) == 0 {
		return errors.New("tambur: there is no app; write for example: app ws-bot-1 {env.TAMBUR_KEY} {env.TAMBUR_SECRET}")
	}
	if err := errors.Join(checkTemplate(t.template()), checkPatterns(t.Open)); err != nil {
		return fmt.Errorf("tambur: %w", err)
	}
	for i, app := range t.Apps {
		if !isID(app.ID) || !isID(app.Key) {
			return errors.New("tambur: an app has an id and a key of letters, digits, dots, dashes and underscores")
		}
		if slices.Contains(app.Secrets, "") || len(app.Secrets) == 0 {
			return fmt.Errorf("tambur: the secret of app %s is empty", app.ID)
		}
		for _, other := range t.Apps[:i] {
			if other.ID == app.ID {
				return fmt.Errorf("tambur: app %s is given twice: write its secrets behind each other", app.ID)
			}
		}
	}
	if len(t.Apps) > 1 && t.Channel == "" {
		return errors.New("tambur: there are several apps: write `channel {app}/{stream}`, or `channel {stream}` if they shall share their streams")
	}
	return nil
}

func (t *Tambur) template() string {
	if t.Channel == "" {
		return defaultChannel
	}
	return t.Channel
}

// checkTemplate: the names of streams have to be found again in those of channels.
func checkTemplate(template string) error {
	before, after, ok := strings.Cut(template, "{stream}")
	literal, behind, app := strings.Cut(before, "{app}")
	switch {
	case !ok, strings.ContainsAny(literal+behind+after, "{}"), app && (behind == "" || !strings.ContainsAny(behind[:1], "/:")),
		!event.ValidChannel(format.TamburChannel(template, "a", "s")):
		return fmt.Errorf("channel: %q does not name the channels of streams; write {stream}, or something like {app}/{stream} or chat-{stream}", template)
	}
	return nil
}

func checkPatterns(patterns []string) error {
	for _, pattern := range patterns {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return fmt.Errorf("open: %q is no pattern; write for example news-*", pattern)
		}
	}
	return nil
}

// isID tells whether text can be an app's id or key: it stands in paths, in the names
// of channels, and between colons in what is signed.
func isID(text string) bool {
	return text != "" && len(text) <= 128 && text != "." && text != ".." && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
	})
}

// New implements endpoint.Kind. The settings were checked.
func (t *Tambur) New(site endpoint.Site) endpoint.Endpoint {
	e := &tambur{
		place: &t.Place, prefix: "/" + strings.Trim(t.Prefix, "/"), origins: site.Origins, maxStreams: site.MaxChannels,
		rules: rules{template: t.template(), open: t.Open, clock: time.Duration(t.Clock), colons: t.ColonUsers},
	}
	e.spec.Format, e.spec.Heartbeat = format.Tambur{Channels: e.rules.template}, site.Heartbeat
	if e.prefix == "/" {
		e.prefix = ""
	}
	if e.rules.clock == 0 {
		e.rules.clock = defaultClock
	}
	if t.AnyClock {
		e.rules.clock = 0
	}
	e.checking = make(chan struct{}, maxReading)
	for _, app := range t.Apps {
		e.apps = append(e.apps, &application{id: app.ID, key: app.Key, secrets: app.Secrets, rules: &e.rules})
	}
	return e
}
