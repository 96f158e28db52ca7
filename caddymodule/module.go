// Package caddymodule puts Sidestream into Caddy: the directive and its
// parsing, the endpoints, the question to the backend, and the taking over of
// connections. It is the only package that imports Caddy.
package caddymodule

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/caddymodule/suggest"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
)

func init() {
	caddy.RegisterModule(&Sidestream{})
}

// Sidestream is a handler that gives an existing chat backend a streaming API.
// Webhooks bring the backend's messages in; clients listen to them with the
// streaming APIs of Campfire and Flowdock, or as server-sent events; and the
// backend itself is asked who may. Requests that are for none of its endpoints
// go on to the next handler untouched.
type Sidestream struct {
	// Hub names the channels and their history. Handlers with the same name,
	// also in several sites, share them; a config reload keeps them, and the
	// streams that are open. Default: `default`. Sites of different backends
	// need different names.
	Hub string `json:"hub,omitempty"`

	// Backend is the reverse proxy that leads to the app, which is asked who
	// may listen.
	BackendRaw json.RawMessage `json:"backend,omitempty" caddy:"namespace=http.handlers inline_key=handler"`

	// Campfire turns on the streams of Campfire. If neither Campfire nor
	// Flowdock is given, both are on, without prefix.
	Campfire *Campfire `json:"campfire,omitempty"`
	// Flowdock turns on the streams of Flowdock.
	Flowdock *Flowdock `json:"flowdock,omitempty"`

	// Webhooks are the ways in.
	Webhooks []*Webhook `json:"webhooks,omitempty"`
	// Redis are the ways in by what the app publishes to Redis, or adds to a
	// stream there.
	Redis []*RedisSource `json:"redis,omitempty"`

	// Auth says how the backend is asked. Required.
	Auth *Auth `json:"auth,omitempty"`
	// Revoke is where the app can say that somebody's access has changed.
	Revoke *Revoke `json:"revoke,omitempty"`

	// History says what is kept, and where.
	History *History `json:"history,omitempty"`
	// Heartbeat is how often an idle stream is written to, by endpoint.
	// Default: `campfire` 2 s, `flowdock` 15 s.
	Heartbeat map[string]caddy.Duration `json:"heartbeat,omitempty"`
	// Limits bound the streams.
	Limits *Limits `json:"limits,omitempty"`
	// Lag bounds how far a slow client may stay behind.
	Lag *Lag `json:"lag,omitempty"`
	// Drain is the time over which streams are closed when Caddy exits, so
	// that their clients do not come back all at once. Default: `3s`.
	Drain caddy.Duration `json:"drain,omitempty"`
	// CORS lists the origins of web pages that may listen.
	CORS *CORS `json:"cors,omitempty"`
	// Realm is what clients are asked to log in to. Default: `Sidestream`.
	Realm string `json:"realm,omitempty"`
	// Health is the path of a check for load balancers. Default: none.
	Health string `json:"health,omitempty"`

	logger    *slog.Logger
	log       *accessLog
	endpoints []endpoint
	specs     map[string]*stream.Spec  // by format
	origins   map[string]*originPolicy // by endpoint
	auth      *forwardauth.Auth
	hub       *stream.Hub
	names     *event.Names // the hub's, for all of its handlers
	gate      *pooledGate
	revoker   *forwardauth.Revoker
	app       *App
	scope     string

	hubIsDefault bool
}

// CaddyModule returns the Caddy module information.
func (*Sidestream) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.sidestream",
		New: func() caddy.Module { return new(Sidestream) },
	}
}

// hubName is what a hub may be called: it becomes part of a file's name.
var hubName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Provision sets the handler up.
func (s *Sidestream) Provision(ctx caddy.Context) error {
	s.logger = ctx.Slogger()
	repl := caddy.NewReplacer()
	if s.Hub == "" {
		s.Hub, s.hubIsDefault = "default", true
	}
	if !hubName.MatchString(s.Hub) {
		return fmt.Errorf("hub: %q is no name; use letters, digits, dots, dashes and underscores", s.Hub)
	}
	if s.Realm == "" {
		s.Realm = "Sidestream"
	}
	if s.History == nil {
		s.History = new(History)
	}
	if s.Limits == nil {
		s.Limits = new(Limits)
	}
	if s.Lag == nil {
		s.Lag = new(Lag)
	}
	for _, provision := range []func() error{
		s.Limits.provision,
		func() error { return s.provisionAuth(ctx, repl) },
		s.provisionEndpoints,
		func() error { return s.provisionWebhooks(repl) },
		func() error { return s.refuseExampleSecret(ctx) },
		func() error { return s.provisionRevoke(repl) },
		func() error { return s.joinHub(ctx, repl) },
	} {
		if err := provision(); err != nil {
			return err
		}
	}
	s.log = newAccessLog(ctx)
	return nil
}

// joinHub takes part in the hub, and in the gate before it, with all other
// handlers that name it.
func (s *Sidestream) joinHub(ctx caddy.Context, repl *caddy.Replacer) error {
	var err error
	if s.History.Path, err = repl.ReplaceOrErr(s.History.Path, true, true); err != nil {
		return fmt.Errorf("history: path: %w", err)
	}
	v, err := ctx.App("sidestream")
	if err != nil {
		return err
	}
	app := v.(*App)
	if err := s.joinGate(app); err != nil {
		return err
	}
	if s.hub, err = app.join(s.Hub, *s.History, s.hubConfig(), func() { s.gate.activate(app, s) }); err != nil {
		return err
	}
	s.gate.activateFirst(app, s)
	t := app.tenancies[s.Hub]
	if err := s.shareNames(t); err != nil {
		return err
	}
	t.gate = s.gate
	for _, h := range s.Webhooks {
		h.counts = t.hub.counts(h.shownPath())
	}
	if err := s.redisSources(app); err != nil {
		return err
	}
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		drainOnExit(server, s.hub)
	}
	return nil
}

// shareNames settles how the hub's channels are named. The one who has flows
// says so for all: a channel has one name, whatever kind of client asks for it.
func (s *Sidestream) shareNames(t *tenancy) error {
	if s.Flowdock != nil {
		own := s.ownNames()
		if t.named && own != *t.names {
			return fmt.Errorf("hub %q: of two handlers only one has flowdock with opaque_ids: make them the same, or give one of them another hub name", s.Hub)
		}
		*t.names, t.named = own, true
	}
	s.names = t.names
	return nil
}

// ownNames is how a hub with this handler alone names its channels.
func (s *Sidestream) ownNames() event.Names {
	return event.Names{Flows: s.Flowdock != nil && !s.Flowdock.OpaqueIDs}
}

// provisionEndpoints sets up the kinds of clients.
func (s *Sidestream) provisionEndpoints() error {
	if s.Campfire == nil && s.Flowdock == nil {
		s.Campfire, s.Flowdock = new(Campfire), new(Flowdock)
	}
	for name, every := range s.Heartbeat {
		if !slices.Contains(heartbeatNames, name) {
			return fmt.Errorf("heartbeat: unknown endpoint %q%s", name, suggest.Among(name, heartbeatNames))
		}
		if every < caddy.Duration(100*time.Millisecond) {
			return fmt.Errorf("heartbeat: %s is too often for %s", time.Duration(every), name)
		}
	}
	cookies := s.auth.Ambient()
	var listed []string
	if s.CORS != nil {
		if err := s.CORS.validate(cookies); err != nil {
			return err
		}
		listed = s.CORS.Origins
	}
	s.specs, s.origins, s.endpoints = map[string]*stream.Spec{}, map[string]*originPolicy{}, nil
	if s.Campfire != nil {
		if err := checkPrefix("campfire", s.Campfire.Prefix); err != nil {
			return err
		}
		e := &campfireEndpoint{prefix: prefixSegments(s.Campfire.Prefix), title: s.Realm}
		s.addEndpoint(e, &originPolicy{listed: listed, cookies: cookies}, campfireJSON, campfireXML)
	}
	if s.Flowdock != nil {
		if err := checkPrefix("flowdock", s.Flowdock.Prefix); err != nil {
			return err
		}
		e := &flowdockEndpoint{
			prefix: prefixSegments(s.Flowdock.Prefix), title: s.Realm,
			maxChannels: s.Limits.Channels,
		}
		anyToken := s.CORS == nil && !cookies && !s.Auth.None && !s.Auth.Anonymous
		s.addEndpoint(e, &originPolicy{listed: listed, cookies: cookies, anyToken: anyToken}, flowdockJSON, eventStream)
	}
	return nil
}

func (s *Sidestream) addEndpoint(e endpoint, p *originPolicy, formats ...string) {
	every, ok := s.Heartbeat[e.name()]
	if !ok {
		every = caddy.Duration(defaultHeartbeats[e.name()])
	}
	s.endpoints = append(s.endpoints, e)
	s.origins[e.name()] = p
	for _, name := range formats {
		f, ok := format.ByName(name)
		if !ok {
			panic("no format " + name) // the names are ours, a test asks for all
		}
		s.specs[name] = &stream.Spec{Format: f, Heartbeat: time.Duration(every)}
	}
}

// hubConfig is what the hub is told of this configuration.
func (s *Sidestream) hubConfig() stream.Config {
	return stream.Config{
		Lag:    stream.Lag{Bytes: s.Lag.Bytes, Time: time.Duration(s.Lag.Time)},
		Limits: s.Limits.forHub(),
		Drain:  time.Duration(s.Drain),
	}
}

// Validate refuses what can only be seen as a whole.
func (s *Sidestream) Validate() error {
	if s.Health != "" {
		if err := checkPath("health", s.Health); err != nil {
			return err
		}
	}
	if s.Lag.Bytes < 0 || s.Lag.Time < 0 || s.Drain < 0 {
		return fmt.Errorf("lag and drain are not negative")
	}
	return nil
}

// Cleanup lets go of the gate; the app lets go of the hub.
func (s *Sidestream) Cleanup() error {
	return s.leaveGate()
}

// Interface guards
var (
	_ caddy.Module                = (*Sidestream)(nil)
	_ caddy.Provisioner           = (*Sidestream)(nil)
	_ caddy.Validator             = (*Sidestream)(nil)
	_ caddy.CleanerUpper          = (*Sidestream)(nil)
	_ caddyhttp.MiddlewareHandler = (*Sidestream)(nil)
)
