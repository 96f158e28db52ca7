// Package caddymodule puts Sidestream into Caddy: the directive and its parser, the
// life of the module, and the taking over of connections. Beside forwardauth, it is
// the only package that imports Caddy.
package caddymodule

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/caddymodule/operator"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/tap"
)

func init() {
	caddy.RegisterModule(&Sidestream{})
}

// Sidestream is a handler that gives an existing chat backend a streaming API.
// The backend's webhooks bring the messages in. Clients listen with the streaming
// APIs of Campfire and Flowdock, or to server-sent events. The backend is asked who
// may listen. Requests that are for none of its endpoints go on to the next handler,
// untouched.
type Sidestream struct {
	// Hub names the channels and their history. Handlers with the same name
	// share them, also in several sites. A reload keeps them, and the open
	// streams. Default: `default`. Sites of different backends need different
	// names.
	Hub string `json:"hub,omitempty"`

	// Backend is the reverse proxy that leads to the app, which is asked who
	// may listen.
	BackendRaw json.RawMessage `json:"backend,omitempty" caddy:"namespace=http.handlers inline_key=handler"`

	Endpoints

	// Webhooks are the ways in.
	Webhooks []*Webhook `json:"webhooks,omitempty"`
	// Redis are further ways in: what the app publishes to Redis, or adds to a
	// stream there.
	Redis []*RedisSource `json:"redis,omitempty"`

	// Pulls are ways in that need nothing of the app: its own lists of messages are
	// read.
	Pulls []*Pull `json:"pulls,omitempty"`

	// Doorbells are what the app tells a bot at once when something is new, for the
	// pulls.
	Doorbells []*Doorbell `json:"doorbells,omitempty"`

	// Backfill gives clients what the history no longer has, from the app's own
	// lists. Default: off.
	Backfill *Backfill `json:"backfill,omitempty"`

	// Positions name the app's own pages whose answers say where a stream goes on.
	Positions []*Position `json:"positions,omitempty"`
	// Taps are ways in that need nothing of the app: what it answers to its clients
	// says what was created.
	Taps []tap.Config `json:"taps,omitempty"`
	// RevokeTaps are answers of the app after which somebody may have lost access.
	RevokeTaps []tap.Revocation `json:"revoke_taps,omitempty"`

	// Auth says how the backend is asked. Required.
	Auth *Auth `json:"auth,omitempty"`
	// Revoke is where the app can say that somebody's access has changed.
	Revoke *Revoke `json:"revoke,omitempty"`

	// Presence shows who is there. Default: nobody is shown.
	Presence *Presence `json:"presence,omitempty"`
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
	CORS *endpoint.CORS `json:"cors,omitempty"`
	// Realm is what clients are asked to log in to. Default: `Sidestream`.
	Realm string `json:"realm,omitempty"`
	// Health is the path of a check for load balancers. Default: none.
	Health string `json:"health,omitempty"`

	logger    *slog.Logger
	log       *accessLog
	server    *endpoint.Server
	auth      *forwardauth.Auth
	hub       *stream.Hub
	live      *operator.Live
	pooled    *pooledHub
	backend   *forwardauth.Backend // nil if nobody is asked
	askedAs   string               // the Host of what it is asked
	names     *event.Names         // the hub's, for all of its handlers
	gate      *pooledGate
	revoker   *forwardauth.Revoker
	app       *App
	upstreams []string // addresses of the backend
	way       string   // how and whom auth asks; with the host, it is the scope
	scope     string
	presence  *presenceSetup // nil if nobody is shown
	rollCall  *endpoint.Roll

	// siteName is the name of the site that the app is asked under, if it is.
	siteName string
	// askFor makes a way to ask the backend about something else than channels, and
	// objectAuths are those that were made.
	askFor      func(request string) (*forwardauth.Auth, error)
	objectAuths []*forwardauth.Auth
	objects     []*endpoint.Objects
	epochs      hubEpochs
	taps        *tap.Rules // nil if there are none
	hubTap      *hubTap

	hubIsDefault  bool
	closesSockets atomic.Bool // a reload closes WebSockets that pass by here
	explainer     *Explainer  // set where the handler is only there to explain
	untrusted     atomic.Bool // the log says that a proxy is not trusted
}

// CaddyModule returns the Caddy module information.
func (*Sidestream) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.sidestream",
		New: func() caddy.Module { return new(Sidestream) },
	}
}

// defaultHub is the hub of a handler that names none.
const defaultHub = "default"

// hubName is what a hub may be called. The name becomes part of a file's name.
var hubName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Provision sets the handler up.
func (s *Sidestream) Provision(ctx caddy.Context) error {
	s.logger = ctx.Slogger()
	if x, ok := ctx.Value(explaining{}).(*Explainer); ok {
		return s.provisionForExplaining(ctx, x)
	}
	repl := caddy.NewReplacer()
	if s.Hub == "" {
		s.Hub, s.hubIsDefault = defaultHub, true
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
		func() error { return s.provisionEndpoints(repl) },
		s.provisionBackfill,
		func() error { return s.provisionPresence(ctx, repl) },
		func() error { return s.provisionWebhooks(repl) },
		s.provisionPositions,
		func() error { return s.provisionPulls(repl) },
		func() error { return s.provisionDoorbells(repl) },
		func() error { return s.refuseExampleSecret(ctx) },
		s.provisionTaps,
		func() error { return s.provisionRevoke(repl) },
		func() error { return s.joinHub(ctx, repl) },
	} {
		if err := provision(); err != nil {
			return s.located(err)
		}
	}
	s.log = newAccessLog(ctx, s.places(), s.leadsToSecret)
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
	if s.hub, err = app.join(s.Hub, *s.History, s.hubConfig(), func() {
		s.gate.activate(app, s)
		s.server.Run()
		s.interrupted()
		s.startTaps()
	}); err != nil {
		return err
	}
	s.gate.activateFirst(app, s)
	t := app.tenancies[s.Hub]
	t.hub.hearWords(s.gate, s.hub)
	s.epochs.Store(&t.hub.epochs)
	s.live = &t.hub.live
	opening := t.hub.times.opening
	s.server.Opened = func(took time.Duration) { opening.Observe(took.Seconds()) }
	s.gate.Watch(t.hub.tellQuestion)
	if err := s.shareNames(t); err != nil {
		return err
	}
	s.server.Hub, s.server.Gate, s.server.Names = roomyHub{s.hub, processDescriptors}, s.gate.Gate, s.names
	s.server.Attach, s.server.UpgradeTo = to(s.hub, attach), to(s.hub, upgrade)
	if err := s.joinPresence(t); err != nil {
		return err
	}
	s.server.Lasting, s.server.Scope = &t.hub.lasting, s.scope
	gate := s.gate
	s.server.Refused = func(re *endpoint.Refusal) { gate.refusals.add(re.Status) }
	t.gate = s.gate
	s.joinTaps(t.hub)
	for _, h := range s.Webhooks {
		h.counts, h.in = t.hub.counts(h.shownPath()), t.hub.wayIn("webhook "+h.shownPath())
		h.in.repeated = s.hubTap != nil && !h.hook.NeverRetries()
		if h.hook.NeverRetries() {
			h.in.unrepeated = true
			if !t.hub.runs() {
				s.hub.Doubt(h.in.name) // a server may open before the app has started
			}
		}
		h.hook.KeepLast(&h.counts.last)
	}
	if err := s.redisSources(app); err != nil {
		return err
	}
	if err := s.joinPulls(t); err != nil {
		return err
	}
	if err := s.joinDoorbells(t); err != nil {
		return err
	}
	s.pooled = t.hub
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		drainOnExit(server, s.hub)
		app.handover.add(server, slices.ContainsFunc(s.Webhooks, func(h *Webhook) bool { return h.hook.NeverRetries() }))
		s.server.Ending = ending(server)
	}
	return nil
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
		if err := endpoint.CheckPath("health", s.Health); err != nil {
			return err
		}
	}
	if s.Lag.Bytes < 0 || s.Lag.Time < 0 || s.Drain < 0 {
		return fmt.Errorf("lag and drain must not be negative")
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
