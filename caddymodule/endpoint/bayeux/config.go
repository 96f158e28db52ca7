package bayeux

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
)

// Bayeux says where the clients of Faye and CometD connect, and what they may call
// the channels.
type Bayeux struct {
	// Paths are where the endpoint is, with everything below them. Default:
	// `/faye`.
	Paths []string `json:"paths,omitempty"`
	// Channels map names of Bayeux to channels, as in `/rooms/{channel}`, which is
	// the default. For each subscription, the backend is asked.
	Channels []string `json:"channels,omitempty"`
	// Publish lets clients say something. Default: they may not.
	Publish []Publish `json:"publish,omitempty"`
	// Timeout is how long a connect is held while nothing is said. Default: `25s`.
	Timeout endpoint.Duration `json:"timeout,omitempty"`
	// Expire is how long a session lives without one. Default: `1m`.
	Expire endpoint.Duration `json:"expire,omitempty"`
	// Sessions bounds the sessions in all. Default: 100,000.
	Sessions int `json:"sessions,omitempty"`
	// SessionsPerAddress bounds those of one IPv4 address or IPv6 /64. Default:
	// 1,000.
	SessionsPerAddress int `json:"sessions_per_address,omitempty"`

	// CatchUp is how much of the past a client may ask for, with
	// `<channel>/catchup/<count><h|m|s>`. Default: nothing.
	CatchUp endpoint.Duration `json:"catchup,omitempty"`

	Signed
	Salesforce

	place endpoint.Place
}

// Defaults, see there.
const (
	defaultPath               = "/faye"
	defaultChannels           = "/rooms/{channel}"
	defaultTimeout            = 25 * time.Second
	defaultExpire             = time.Minute
	defaultSessions           = 100_000
	defaultSessionsPerAddress = 1000
)

// Where implements endpoint.Kind: there is no prefix.
func (b *Bayeux) Where() *endpoint.Place { return &b.place }

// AddPath implements endpoint.Pathed.
func (b *Bayeux) AddPath(path string) error {
	if slices.Contains(b.Paths, path) {
		return fmt.Errorf("bayeux: the path %s is given twice", path)
	}
	b.Paths = append(b.Paths, path)
	return endpoint.CheckPath("bayeux", path)
}

// Options implements endpoint.Kind.
func (*Bayeux) Options() []string {
	return append([]string{"catchup", "channels", "expire", "publish", "sessions", "sessions_per_address", "timeout"}, append([]string{"replay_invalid", "salesforce"}, signedOptions...)...)
}

// Option implements endpoint.Kind.
func (b *Bayeux) Option(name string, args []string) (err error) {
	switch name {
	case "channels":
		return b.addChannels(args)
	case "salesforce", "replay_invalid":
		return b.Salesforce.option(name, args)
	case "signed", "announce", "object", "realtime":
		return b.Signed.option(name, args)
	case "catchup":
		b.CatchUp, err = endpoint.ParseDuration(args)
	case "publish":
		var p Publish
		if p, err = readPublish(args); err == nil {
			b.Publish = append(b.Publish, p)
		}
	case "timeout":
		b.Timeout, err = endpoint.ParseDuration(args)
	case "expire":
		b.Expire, err = endpoint.ParseDuration(args)
	case "sessions":
		b.Sessions, err = count(args)
	case "sessions_per_address":
		b.SessionsPerAddress, err = count(args)
	}
	return err
}

func (b *Bayeux) addChannels(args []string) error {
	if len(args) == 0 {
		return errors.New("it needs the names that clients use, as in /rooms/{channel}")
	}
	for _, text := range args {
		if _, err := ParseRooms(text); err != nil {
			return err
		}
	}
	b.Channels = append(b.Channels, args...)
	return nil
}

func count(args []string) (int, error) {
	if len(args) == 1 {
		if n, err := strconv.Atoi(args[0]); err == nil && n > 0 {
			return n, nil
		}
	}
	return 0, errors.New("it needs a number above zero")
}

// Check implements endpoint.Checked.
func (b *Bayeux) Check() error {
	for _, path := range b.Paths {
		if err := endpoint.CheckPath("bayeux", path); err != nil {
			return err
		}
	}
	for _, text := range b.Channels {
		if _, err := ParseRooms(text); err != nil {
			return fmt.Errorf("bayeux: channels: %w", err)
		}
	}
	if err := b.Salesforce.check(); err != nil {
		return err
	}
	if err := b.Signed.check(); err != nil {
		return err
	}
	for i := range b.Publish {
		if _, err := b.Publish[i].read(); err != nil {
			return fmt.Errorf("bayeux: publish: %w", err)
		}
	}
	if b.CatchUp < 0 || b.Timeout < 0 || b.Expire < 0 || b.Sessions < 0 || b.SessionsPerAddress < 0 {
		return errors.New("bayeux: catchup, timeout, expire, sessions and sessions_per_address must not be negative")
	}
	return nil
}

// Usual implements endpoint.Kind.
func (*Bayeux) Usual() bool { return false }

// Heartbeat implements endpoint.Kind: it is for transports that stay open.
func (*Bayeux) Heartbeat() time.Duration { return 15 * time.Second }

// New implements endpoint.Kind. The settings were checked.
func (b *Bayeux) New(site endpoint.Site) endpoint.Endpoint {
	e := &bayeux{
		timeout: orDefault(time.Duration(b.Timeout), defaultTimeout), expire: orDefault(time.Duration(b.Expire), defaultExpire),
		sessions: orDefault(b.Sessions, defaultSessions), perAddress: orDefault(b.SessionsPerAddress, defaultSessionsPerAddress),
		maxChannels: site.MaxChannels, forwarding: make(chan struct{}, maxForwards),
		objects: site.Objects, catchUp: time.Duration(b.CatchUp),
		salesforce: b.On, replayInvalidAll: b.ReplayInvalid == "all",
	}
	if e.objects != nil {
		e.resolvers = append(e.resolvers, signedNames{e.objects.Roots})
	}
	if b.Realtime != "" {
		e.realtime = &realtime{place: endpoint.Place{Prefix: strings.TrimSuffix(b.Realtime, "/")}, url: b.RealtimeURL}
	}
	paths, channels := b.Paths, b.Channels
	if len(paths) == 0 {
		paths = []string{defaultPath}
	}
	switch {
	case len(channels) > 0:
	case b.On:
		channels = salesforceChannels
	default:
		channels = []string{defaultChannels}
	}
	e.key = strings.Join(paths, " ")
	for _, path := range paths {
		e.places = append(e.places, &endpoint.Place{Prefix: strings.TrimSuffix(path, "/")})
	}
	for _, text := range channels {
		if rooms, err := ParseRooms(text); err == nil { // checked
			e.resolvers = append(e.resolvers, rooms)
		}
	}
	for i := range b.Publish {
		if p, err := b.Publish[i].read(); err == nil { // checked
			e.publishing = append(e.publishing, p)
		}
	}
	return e
}

func orDefault[T int | time.Duration](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}
