package redis

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream/redisconn"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Config says where Redis is, what to listen to, and how to read it. The zero
// value of every field is its default.
type Config struct {
	// A name for this source that is unique in the hub: how far it has read is
	// remembered under it. Default: `redis`.
	Name string `json:"name,omitempty"`

	// Where Redis is: `redis://user:password@host:6379/0`, `rediss://` for
	// TLS, `redis+sentinel://host,host/master`, `redis+cluster://host,host`,
	// `unix:///path/to/socket`. Special characters of the password are written
	// as in every URL: `%40` for `@`. Required.
	URL string `json:"url"`

	// The user that asks the sentinels, and the name of the master if the URL
	// does not have it.
	Sentinel *Sentinel `json:"sentinel,omitempty"`

	// The channels to listen to, by their exact names. With `on_demand` they
	// are templates with `{channel}` in them, as in `chat:room_{channel}`.
	Subscribe []string `json:"subscribe,omitempty"`

	// The patterns of channels to listen to, as PSUBSCRIBE knows them.
	PSubscribe []string `json:"psubscribe,omitempty"`

	// A regular expression with named groups that the name of the Redis
	// channel must match: `:room_(?<channel>[0-9]+)$`. The mapping sees the
	// groups as `{match.NAME}`; the presets take `{match.channel}` as the
	// channel. Messages of other channels are passed over. Default: all.
	Match string `json:"match,omitempty"`

	// Listen only to the channels that somebody has a stream of.
	OnDemand bool `json:"on_demand,omitempty"`

	// The key of the stream to read, instead of channels to listen to.
	Stream string `json:"stream,omitempty"`

	// The field of a stream's entries that holds the payload. Default:
	// `payload`. The others are known as `{redis.field.NAME}`.
	Field string `json:"field,omitempty"`

	// Where to begin with the stream: `resume` where the last run ended, which
	// the first time is its end; `0` the same, but the first time at its
	// beginning; `$` always at its end. Default: `resume`.
	Start string `json:"start,omitempty"`

	// The consumer group to read the stream with. Its members share the
	// entries, so all of them must share one log. Default: none, and every hub
	// reads everything.
	Group string `json:"group,omitempty"`

	// The name of this node in the group. Default: the host's name.
	Consumer string `json:"consumer,omitempty"`

	// How many messages may wait to be stored. What comes on top is lost, and
	// told as a gap. Default: 65536.
	QueueEvents int `json:"queue_events,omitempty"`

	// How many bytes of messages may wait to be stored. Default: 64 MiB.
	QueueBytes int64 `json:"queue_bytes,omitempty"`

	// How often the subscription is probed. One that does not answer twice is
	// given up for a new one. Default: 3s.
	Probe decode.Duration `json:"probe,omitempty"`

	// The channel of the probes. All nodes that share a log must have the
	// same. Default: `sidestream:probe`.
	ProbeChannel string `json:"probe_channel,omitempty"`

	// How payloads are read and mapped: preset, format, each, map, drop,
	// revoke, max_body and max_batch.
	decode.Config
}

// Sentinel says how to ask the sentinels.
type Sentinel struct {
	// The name under which they watch the master. Default: that of the URL.
	Master string `json:"master,omitempty"`
	// The user and the password that the sentinels want. Default: none.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
}

// Defaults of a Config.
const (
	DefaultName         = "redis"
	DefaultField        = "payload"
	DefaultQueueEvents  = 1 << 16
	DefaultQueueBytes   = 64 << 20
	DefaultProbe        = 3 * time.Second
	DefaultProbeChannel = "sidestream:probe"
)

// The places to begin with a stream.
const (
	startResume = "resume"
	startEnd    = "$"
	startZero   = "0"
)

// channelHole stands for the channel in the templates of OnDemand.
const channelHole = "{channel}"

// maxProbe keeps the time in which a dead subscription is found bounded.
const maxProbe = time.Minute

// plan is a checked Config.
type plan struct {
	Config
	decoder *decode.Decoder
	match   *regexp.Regexp
	probe   time.Duration
	address redisconn.Address
}

// newPlan fills in defaults and refuses what cannot work. Errors hold no
// secrets.
func newPlan(cfg Config) (*plan, error) {
	p := &plan{Config: cfg}
	p.Name = or(cfg.Name, DefaultName)
	p.Field = or(cfg.Field, DefaultField)
	p.Start = or(cfg.Start, startResume)
	p.ProbeChannel = or(cfg.ProbeChannel, DefaultProbeChannel)
	p.QueueEvents = or(cfg.QueueEvents, DefaultQueueEvents)
	p.QueueBytes = or(cfg.QueueBytes, DefaultQueueBytes)
	p.probe = or(time.Duration(cfg.Probe), DefaultProbe)
	if err := p.checkSubjects(); err != nil {
		return nil, err
	}
	if err := p.checkBounds(); err != nil {
		return nil, err
	}
	var err error
	if p.address, err = parseAddress(&cfg); err != nil {
		return nil, err
	}
	if cfg.Match != "" {
		if p.match, err = parseMatch(cfg.Match); err != nil {
			return nil, err
		}
	}
	if p.decoder, err = decode.NewDecoder(cfg.Config); err != nil {
		return nil, err
	}
	return p, nil
}

func or[T comparable](v, def T) T {
	if v == *new(T) {
		return def
	}
	return v
}

func (p *plan) checkSubjects() error {
	listens := len(p.Subscribe)+len(p.PSubscribe) > 0
	switch {
	case !listens && p.Stream == "":
		return errors.New("nothing to listen to; write subscribe, psubscribe or stream")
	case listens && p.Stream != "":
		return errors.New("a source either listens to channels or reads a stream; write two of them for both")
	case p.OnDemand && (p.Stream != "" || len(p.PSubscribe) > 0):
		return errors.New("on_demand needs subscribe with {channel} in it, as in subscribe chat:room_{channel}")
	case p.Stream == "" && (p.Group != "" || p.Consumer != "" || p.Start != startResume):
		return errors.New("start, group and consumer belong to stream")
	case p.Stream != "" && p.Match != "":
		return errors.New("match is for the names of channels, and a stream has none")
	}
	for _, name := range slices.Concat(p.Subscribe, p.PSubscribe) {
		switch {
		case name == "":
			return errors.New("the name of a channel is missing")
		case name == p.ProbeChannel:
			return fmt.Errorf("%q is the channel of the probes; set probe_channel to another one", name)
		}
	}
	for _, name := range p.Subscribe {
		if strings.ContainsAny(name, "*?[") {
			return fmt.Errorf("subscribe %q: the names of subscribe are exact; for a pattern, write psubscribe %s", name, name)
		}
		if has := strings.Contains(name, channelHole); has != p.OnDemand {
			if p.OnDemand {
				return fmt.Errorf("on_demand: subscribe %q does not say where the channel is; write for example chat:room_{channel}", name)
			}
			return fmt.Errorf("subscribe %q: {channel} needs on_demand; without it, write psubscribe and match", name)
		}
	}
	return nil
}

func (p *plan) checkBounds() error {
	switch {
	case !slices.Contains([]string{startResume, startEnd, startZero}, p.Start):
		return fmt.Errorf("start is %q; it must be resume, $ or 0", p.Start)
	case p.QueueEvents < 1, p.QueueBytes < 1:
		return errors.New("queue: it must have room for at least one message")
	case p.probe <= 0, p.probe > maxProbe:
		return fmt.Errorf("probe is %s; it must be at most %s", p.probe, maxProbe)
	}
	return nil
}

// parseMatch compiles the expression for names of Redis channels.
func parseMatch(text string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	if !slices.ContainsFunc(re.SubexpNames(), func(name string) bool { return name != "" }) {
		return nil, fmt.Errorf("match %q has no named group; write for example :room_(?<channel>[0-9]+)$", text)
	}
	return re, nil
}
