package caddymodule

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream/presence"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Presence shows who is there: which user is in which channel, active or idle.
// Users are those that the backend names when it is asked about access. It is
// told to clients that ask for it (`presence=1` of Flowdock), to whoever asks
// `GET /presence?channel=`, and to the app.
type Presence struct {
	// Prefix stands before `/presence`. Default: none.
	Prefix string `json:"prefix,omitempty"`
	// Channels are the channels of which it is shown who is there, as patterns in
	// which `*` is any text. Default: all.
	Channels []string `json:"channels,omitempty"`
	// Invisible are conditions of which one is enough not to show a user, such as
	// `{user} in 7 9` or `{channel} matches ^secret-`.
	Invisible []string `json:"invisible,omitempty"`
	// Grace is how long a user may be away without being missed. Default: `15s`.
	Grace caddy.Duration `json:"grace,omitempty"`
	// Lease is how long the other nodes that share the history believe what this
	// one says without hearing of it. Default: `15s`.
	Lease caddy.Duration `json:"lease,omitempty"`
	// Names is up to how many users of a channel are told by name. Of more, only
	// the count is told. At most 2000. Default: 500.
	Names int `json:"names,omitempty"`
	// Secrets by which the app may ask where a user is. Several are for rotation.
	Secrets []string `json:"secrets,omitempty"`
	// Tell has the app told of every change.
	Tell *PresenceTell `json:"tell,omitempty"`
}

// PresenceTell says how the app is told who is there: by a POST for every change,
// signed as Standard Webhooks says.
type PresenceTell struct {
	// URI is the path on the backend, as in `/hooks/presence`.
	URI string `json:"uri"`
	// Secrets to sign with: `whsec_` and base64. With several, each delivery has a
	// signature for every one.
	Secrets []string `json:"secrets"`
	// Kinds are what is told: `joined`, `left`, `state`, `count`, `snapshot` and
	// `reset`. Default: all.
	Kinds []string `json:"kinds,omitempty"`
	// Body is the JSON of a delivery, with holes: `{kind}`, `{channel}`, `{org}`,
	// `{flow}`, `{user}`, `{state}`, and `{data...}` for all that is told. Default:
	// `{"type":"presence.{kind}","timestamp":"{time}","data":{data}}`.
	Body string `json:"body,omitempty"`
	// Timeout bounds one delivery. Default: `5s`.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// maxPresenceNames bounds the option names: a client is told all of them at once.
const maxPresenceNames = 2000

// presenceNames are what a condition may name.
var presenceNames = &decode.Vocabulary{Variables: []string{"channel", "org", "flow", "user"}}

// presenceSetup is what a configuration says of presence, ready to use. It is for all
// handlers of a hub.
type presenceSetup struct {
	text      Presence // as configured
	roster    presence.Config
	channels  decode.Patterns
	invisible []*decode.Condition
	teller    *appTeller // nil if the app is not told
}

// shows tells whether it is shown who is in a channel.
func (p *presenceSetup) shows(channel string) bool { return p.channels.Match(channel) }

// hides tells whether a user is not shown in a channel. What cannot be decided is not
// shown.
func (p *presenceSetup) hides(channel, user string) bool {
	src := placeOfUser{channel, user}
	return slices.ContainsFunc(p.invisible, func(c *decode.Condition) bool {
		holds, err := c.Holds(src)
		return err != nil || holds
	})
}

// placeOfUser is a decode.Source of who is where.
type placeOfUser struct{ channel, user string }

// JSON implements decode.Source.
func (placeOfUser) JSON(string, decode.Path) (decode.Value, error) { return decode.Value{}, nil }

// Text implements decode.Source.
func (p placeOfUser) Text(_, name string) (text string, ok bool, err error) {
	org, flow, isFlow := strings.Cut(p.channel, "/")
	switch name {
	case "channel":
		return p.channel, true, nil
	case "user":
		return p.user, p.user != "", nil
	case "org":
		return org, isFlow, nil
	}
	return flow, isFlow, nil
}

// provisionPresence reads what the configuration says of presence, and mounts the
// address where it is asked for.
func (s *Sidestream) provisionPresence(ctx caddy.Context, repl *caddy.Replacer) error {
	p := s.Presence
	if p == nil {
		return nil
	}
	fail := func(err error) error { return fmt.Errorf("presence: %w", err) }
	switch {
	case s.Auth.None:
		return fail(errors.New("with auth none nobody is asked who a client is, so nobody can be shown; say how the backend is asked"))
	case !s.auth.NamesUsers():
		return fail(errors.New("auth does not say where the backend's answer names the user; write for example: user {json.user.id}, in the block of auth"))
	case p.Grace < 0 || p.Lease < 0 || p.Names < 0:
		return fail(errors.New("grace, lease and names must not be negative"))
	case p.Lease != 0 && p.Lease < caddy.Duration(time.Second):
		return fail(errors.New("a lease of less than a second is too short: other nodes are told every third of it"))
	case p.Names > maxPresenceNames:
		return fail(fmt.Errorf("names is at most %d: a client is told all of them at once", maxPresenceNames))
	}
	if err := endpoint.CheckPrefix("presence", p.Prefix); err != nil {
		return err
	}
	setup := &presenceSetup{text: *p, roster: presence.Config{Grace: time.Duration(p.Grace), Lease: time.Duration(p.Lease), Names: p.Names, Tells: p.Tell != nil}}
	var err error
	if setup.channels, err = decode.ParsePatterns(p.Channels); err != nil {
		return fail(err)
	}
	for _, text := range p.Invisible {
		c, err := presenceNames.Condition(text)
		if err != nil {
			return fail(fmt.Errorf("invisible: %w", err))
		}
		setup.invisible = append(setup.invisible, c)
	}
	secrets, err := resolveSecrets(repl, p.Secrets)
	if err != nil {
		return fail(err)
	}
	if p.Tell != nil {
		if setup.teller, err = p.Tell.provision(repl, s.backend); err != nil {
			return fail(fmt.Errorf("tell: %w", err))
		}
		setup.teller.logger = hubLogger().With("hub", s.Hub)
	}
	s.presence = setup
	s.rollCall = &endpoint.Roll{Place: endpoint.Place{Prefix: p.Prefix}, Secrets: forwardauth.NewSecrets(secrets), Snapshot: func(string) bool { return false }}
	s.server.Mount("presence", s.rollCall, s.origins(s.auth.Ambient()), 0)
	s.server.Presence = &endpoint.Presence{Shows: setup.shows, Hides: setup.hides}
	return nil
}

// joinPresence has all handlers of a hub agree on presence, and ties this one to the
// hub's roster.
func (s *Sidestream) joinPresence(t *tenancy) error {
	s.server.Roster, s.server.Bus = t.hub.roster, t.hub.bus
	if s.presence == nil {
		return nil
	}
	switch {
	case t.presence == nil:
		t.presence = s.presence
	case !reflect.DeepEqual(withoutPlace(t.presence.text), withoutPlace(s.presence.text)):
		return fmt.Errorf("hub %q: two handlers of this configuration show presence in different ways: make them the same, or give one of them another hub name", s.Hub)
	}
	s.server.Presence.Audience = t.hub.audience
	hub := t.hub
	if s.presence.teller != nil {
		s.rollCall.Snapshot = func(channel string) bool {
			hub.roster.Snapshot(channel)
			return true
		}
	}
	return nil
}

// withoutPlace is what handlers of a hub have to agree on.
func withoutPlace(p Presence) Presence {
	p.Prefix, p.Secrets = "", nil
	return p
}

// usePresence makes a configuration's presence the one that counts; nil if it has
// none. Called with mu held.
func (p *pooledHub) usePresence(setup *presenceSetup) {
	if setup == nil {
		setup = new(presenceSetup)
	}
	if t := setup.teller; t != nil {
		if p.teller == nil {
			p.teller = p.roster.Tell(setup.shows, t.send)
		} else {
			p.teller.Use(setup.shows, t.send)
		}
	}
	p.roster.Configure(setup.roster)
}
