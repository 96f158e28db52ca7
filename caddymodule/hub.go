package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/exp/zapslog"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/endpoint/signed"
	"github.com/seed-078801ba/sidestream/caddymodule/operator"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/bus"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log/file"
	"github.com/seed-078801ba/sidestream/stream/presence"
	"github.com/seed-078801ba/sidestream/webhook/pull"
)

func init() { caddy.RegisterModule(new(App)) }

// hubs are the hubs of this process. They outlive the configurations that name
// them, so that a reload closes no stream.
var hubs = caddy.NewUsagePool()

// openHubs has the open hubs of the pool as keys. To range over the pool itself can
// hang: Caddy takes its locks in one order there, and in another order when a hub
// cannot be opened.
var openHubs sync.Map

// pooledHub is a hub, and the configurations that use it.
type pooledHub struct {
	*stream.Hub
	// bus carries what is worth something now or never between the nodes of the
	// hub, and roster knows who is there. Both do nothing until they are used.
	bus      bus.Bus
	roster   *presence.Roster
	audience *endpoint.Audience // whom the roster is told to

	teller *presence.Teller // nil until the app is told for the first time

	mu      sync.Mutex
	tenants []*tenancy // newest last; that one's settings count
	running sourceSet
	pulls   atomic.Pointer[[]*runningPull]
	// stopDoorbells ends what rings for the pulls; nil if nothing does.
	stopDoorbells func()

	webhooks sync.Map // *webhookCounts by the webhook's path
	origins  origins
	lasting  endpoint.Lasting // sessions
	epochs   signed.Kept      // of roots
	live     operator.Live
	times    times

	untapped shapes // requests that no tap is for

	tap     atomic.Pointer[hubTap] // nil until a configuration has taps
	tapOnce sync.Once

	// locked is set if another process has the history: then nothing goes in or
	// out of this hub, and a configuration with it does not start.
	locked error
}

// Destruct ends the streams and closes the hub, when no configuration names it any
// more.
func (p *pooledHub) Destruct() error {
	if p.locked != nil {
		return nil // it is closed
	}
	if caddy.Exiting() {
		return p.end() // the process waits for this to end
	}
	if n := p.Stats().Streams(); n > 0 {
		hubLogger().Warn("a reload has taken away a hub, or given it another store: all of its streams end",
			"hub", p.Name(), "streams", n)
	}
	go func() { // a reload does not wait; ends within closeWait
		if err := p.end(); err != nil {
			hubLogger().Error("closing a hub", "hub", p.Name(), "error", err)
		}
	}()
	return nil
}

// closeWait is how long a hub may take to close, even with a longer drain.
const closeWait = 30 * time.Second

func (p *pooledHub) end() error {
	defer openHubs.Delete(p)
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	p.closeTap(ctx)
	err := p.Close(ctx)
	p.mu.Lock()
	teller := p.teller
	p.mu.Unlock()
	if teller != nil {
		teller.Close()
	}
	p.roster.Close()
	p.bus.Close()
	return err
}

// OpenStreams is how many streams are open in this process. It may be called at
// any time.
func OpenStreams() int {
	n := 0
	openHubs.Range(func(hub, _ any) bool {
		n += hub.(*pooledHub).Stats().Streams()
		return true
	})
	return n
}

// hubLogger is a logger that belongs to no configuration. It adds no stack traces:
// they show where this code is, and not what is wrong outside of it.
func hubLogger() *slog.Logger {
	return slog.New(zapslog.NewHandler(caddy.Log().Named("sidestream").Core(), zapslog.AddStacktraceAt(slog.Level(math.MaxInt))))
}

// App ties the handlers of one configuration to the hubs of the process. Caddy makes
// it for every configuration with a `sidestream` handler. It has no options.
type App struct {
	tenancies map[string]*tenancy // by name of the hub
	ctx       caddy.Context

	stopWatching func()
	handover     handover
}

// tenancy is what one configuration wants of a hub.
type tenancy struct {
	hub       *pooledHub
	key       string // in the pool
	history   History
	settings  stream.Config
	names     *event.Names // settled when all handlers have joined
	named     bool         // a handler has said what they are
	activates []func()
	sources   sourceSet
	pulls     []pullWay
	doorbells []func() (*pull.Doorbell, error)
	gate      *pooledGate
	presence  *presenceSetup // nil if nobody is shown
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "sidestream", New: func() caddy.Module { return new(App) }}
}

// Provision implements caddy.Provisioner.
func (a *App) Provision(ctx caddy.Context) error {
	a.tenancies, a.ctx = map[string]*tenancy{}, ctx
	if err := ctx.GetMetricsRegistry().Register(collector{a}); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return a.handover.subscribe(ctx)
}

// join gives a handler the hub that it names, and makes the hub if there is none yet.
// Handlers that share a hub must want the same of it. activate, if set, is called
// when the configuration begins to run, and again if a newer one was given up.
func (a *App) join(name string, history History, settings stream.Config, activate func()) (*stream.Hub, error) {
	if err := history.fill(name); err != nil {
		return nil, err
	}
	t := a.tenancies[name]
	switch {
	case t == nil:
		t = &tenancy{history: history, settings: settings, names: new(event.Names), key: name + "\x00" + history.place(), sources: sourceSet{}}
		v, _, err := hubs.LoadOrNew(t.key, func() (caddy.Destructor, error) { return openHub(name, history, settings) })
		if err != nil {
			return nil, err
		}
		t.hub = v.(*pooledHub)
		a.tenancies[name] = t
	case t.history != history:
		return nil, fmt.Errorf("hub %q: two handlers of this configuration give it different histories: make them the same, or give one of them another hub name", name)
	case t.settings != settings:
		return nil, fmt.Errorf("hub %q: two handlers of this configuration give it different limits: make them the same, or give one of them another hub name", name)
	}
	if activate != nil {
		t.activates = append(t.activates, activate)
	}
	return t.hub.Hub, nil
}

func openHub(name string, history History, settings stream.Config) (*pooledHub, error) {
	if onlyChecks() {
		return checkedHub(name, &history)
	}
	l, err := history.open(name)
	if err != nil {
		err = fmt.Errorf("opening the history of hub %q: %w", name, err)
		if errors.Is(err, file.ErrLocked) {
			// It is no mistake of the configuration, so the error comes when it starts.
			return closedHub(name, fmt.Errorf("%w: end the other Sidestream, or name another file with history { store file PATH }", err))
		}
		return nil, err
	}
	between, err := history.openBus(name)
	if err != nil {
		l.Close()
		return nil, err
	}
	settings.Logger = hubLogger()
	h, err := stream.Open(name, l, settings)
	if err != nil {
		l.Close()
		return nil, err
	}
	p := &pooledHub{Hub: h, bus: between, roster: presence.New(between, presence.Config{}), times: newTimes(name)}
	h.OnTimings(p.times.timings())
	p.keepEpochs()
	p.audience = endpoint.NewAudience(p.roster)
	openHubs.Store(p, nil)
	return p, nil
}

// runs tells whether some configuration has started with the hub.
func (p *pooledHub) runs() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.tenants) > 0
}

// Start implements caddy.App: from now on this configuration's settings count.
func (a *App) Start() error {
	for _, t := range a.tenancies {
		if t.hub.locked != nil {
			return t.hub.locked
		}
	}
	for _, t := range a.tenancies {
		t.hub.mu.Lock()
		t.hub.tenants = append(t.hub.tenants, t)
		t.apply()
		t.hub.mu.Unlock()
	}
	a.handover.begin()
	a.watch()
	warnOfRoutes(a.ctx, a.ctx.Slogger())
	a.sayWhatRuns()
	return nil
}

// watch looks after the process's descriptors until Stop.
func (a *App) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		processDescriptors.watch(ctx)
	}()
	a.stopWatching = func() {
		cancel()
		<-done
	}
}

// Stop implements caddy.App. If a newer configuration runs, this changes nothing. If
// this one was given up, the settings of the one before it count again.
func (a *App) Stop() error {
	if a.stopWatching != nil {
		a.stopWatching()
	}
	for _, t := range a.tenancies {
		p := t.hub
		p.mu.Lock()
		for i, other := range p.tenants {
			if other != t {
				continue
			}
			last := i == len(p.tenants)-1
			p.tenants = append(p.tenants[:i], p.tenants[i+1:]...)
			switch {
			case last && len(p.tenants) > 0:
				p.tenants[len(p.tenants)-1].apply()
			case len(p.tenants) == 0:
				p.runPulls(nil, nil) // the others end when nobody names them any more
			}
			break
		}
		p.mu.Unlock()
	}
	return nil
}

func (t *tenancy) apply() {
	settings := t.settings
	settings.Names = *t.names
	settings.Logger = hubLogger()
	t.hub.Configure(settings)
	t.hub.Log().SetRetention(t.history.retention())
	for _, activate := range t.activates {
		activate()
	}
	t.hub.runPulls(t.pulls, t.doorbells)
	t.hub.usePresence(t.presence)
	t.hub.run(t.sources)
}

// unhealthy says why a hub of this configuration cannot have traffic.
func (a *App) unhealthy(name string) []ailment {
	if t := a.tenancies[name]; t != nil {
		return t.hub.unhealthy()
	}
	return []ailment{{what: "it has not started"}}
}

// ready tells whether a hub takes events from all its ways in, and delivers them to
// whoever may listen.
func (a *App) ready(name string) bool { return len(a.unhealthy(name)) == 0 }

// ailment is a reason why a hub cannot have traffic: what is wrong, which anybody may
// know, and why, which is for operators.
type ailment struct{ what, why string }

func (a ailment) String() string {
	if a.why == "" {
		return a.what
	}
	return a.what + ": " + a.why
}

// unhealthy says why the hub cannot have traffic; empty if it can.
func (p *pooledHub) unhealthy() (reasons []ailment) {
	if err := p.Health(); err != nil {
		reasons = append(reasons, ailment{"the history does not take or give events", err.Error()})
	}
	p.mu.Lock()
	for _, source := range p.running {
		if s := source.Load(); !s.Connected() {
			reasons = append(reasons, ailment{"the way in " + s.Name() + " is not connected", s.Trouble()})
		}
	}
	p.mu.Unlock()
	if !processDescriptors.room() {
		reasons = append(reasons, ailment{"file descriptors are running out", "give the process more, with LimitNOFILE of systemd or ulimit -n"})
	}
	slices.SortFunc(reasons, func(a, b ailment) int { return strings.Compare(a.what, b.what) })
	return reasons
}

// Cleanup implements caddy.CleanerUpper: gives the hubs back.
func (a *App) Cleanup() error {
	if onlyChecks() && a.ctx.Context != nil {
		warnOfRoutes(a.ctx, hubLogger())
		warnOfServers(a.ctx, hubLogger())
	}
	var first error
	for _, t := range a.tenancies {
		for key := range t.sources { // before the hub that they publish to
			if _, err := sources.Delete(key); err != nil && first == nil {
				first = err
			}
		}
		if _, err := hubs.Delete(t.key); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
