package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/webhook/decode"
	"github.com/seed-078801ba/sidestream/webhook/redis"
)

// RedisSource is a Redis as a way in: what the app publishes there, or adds to a
// stream.
type RedisSource struct {
	redis.Config
}

// pooledSource is a source of this process. It outlives the configurations
// that name it: a source that is stopped and started again does not know what
// it has missed.
type pooledSource struct {
	atomic.Pointer[redis.Source]
	make func() (*redis.Source, error)

	mu   sync.Mutex
	ran  bool               // a Source runs once
	stop context.CancelFunc // nil while it does not run
	done chan struct{}
}

// sources are keyed by hub and configuration.
var sources = caddy.NewUsagePool()

// start runs the source, if it does not run.
func (p *pooledSource) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil {
		return
	}
	if p.ran { // a configuration without it was given up
		source, err := p.make()
		if err != nil {
			hubLogger().Error("a Redis source cannot go on", "source", p.Load().Name(), "error", err)
			return
		}
		p.Store(source)
	}
	p.ran = true
	ctx, cancel := context.WithCancel(context.Background())
	p.stop, p.done = cancel, make(chan struct{})
	done, source := p.done, p.Load()
	go func() { // ends with halt
		defer close(done)
		if err := source.Run(ctx); err != nil && ctx.Err() == nil {
			hubLogger().Error("a Redis source ends", "source", source.Name(), "error", err)
		}
	}()
}

// halt stops the source and waits for its end.
func (p *pooledSource) halt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil {
		p.stop()
		<-p.done
		p.stop = nil
	}
}

// Destruct stops the source when no configuration names it any more.
func (p *pooledSource) Destruct() error {
	p.halt()
	return nil
}

// sourceSet is the sources of one hub in one configuration, by their key.
type sourceSet map[string]*pooledSource

// joinSource gives the hub of a handler a source, and makes the source if there is
// none like it yet. The source runs as long as the configuration.
func (a *App) joinSource(hub string, rs *RedisSource, revoke func([]decode.Revocation)) error {
	t := a.tenancies[hub]
	text, err := json.Marshal(rs)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	key := t.key + "\x00" + string(text)
	if t.sources[key] != nil {
		return fmt.Errorf("redis %s: two handlers of this hub have the same source", rs.sourceName())
	}
	for _, other := range t.sources {
		if other.Load().Name() == rs.sourceName() {
			return fmt.Errorf("redis: two sources of hub %q are called %q: give one of them another `name`", hub, rs.sourceName())
		}
	}
	v, _, err := sources.LoadOrNew(key, func() (caddy.Destructor, error) {
		config, err := rs.resolved()
		if err != nil {
			return nil, err
		}
		in := t.hub.wayIn("redis " + rs.sourceName())
		in.repeated = rs.Stream != "" && t.hub.tap.Load() != nil
		options := redis.Options{
			Publisher: in, Mark: t.hub.Log().Mark, SharedLog: t.history.sharedName(hub), Revoke: revoke,
			Poke: t.hub.pokeFor("a message from Redis"), Unused: t.hub.unusedBy("redis " + rs.sourceName()),
			Logger: hubLogger(),
		}
		if shared, ok := t.hub.Log().(log.Shared); ok {
			options.Secret = shared.Secret
		} else {
			options.SharedLog = "" // so it is while a configuration is only checked
		}
		source, err := redis.New(config, options)
		if err != nil {
			return nil, err
		}
		p := &pooledSource{make: func() (*redis.Source, error) { return redis.New(config, options) }}
		p.Store(source)
		return p, nil
	})
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	t.sources[key] = v.(*pooledSource)
	return nil
}

func (rs *RedisSource) sourceName() string {
	if rs.Name == "" {
		return "redis"
	}
	return rs.Name
}

// resolved is the configuration with its secrets filled in. The configuration that
// Caddy keeps has placeholders instead.
func (rs *RedisSource) resolved() (redis.Config, error) {
	config, repl := rs.Config, caddy.NewReplacer()
	var err error
	if config.URL, err = repl.ReplaceOrErr(config.URL, true, true); err != nil {
		return config, fmt.Errorf("address: %w", err)
	}
	if config.Sentinel != nil {
		sentinel := *config.Sentinel
		if sentinel.Username, err = repl.ReplaceOrErr(sentinel.Username, true, false); err != nil {
			return config, fmt.Errorf("sentinel: %w", err)
		}
		if sentinel.Password, err = repl.ReplaceOrErr(sentinel.Password, true, false); err != nil {
			return config, fmt.Errorf("sentinel: %w", err)
		}
		config.Sentinel = &sentinel
	}
	return config, nil
}

// run makes exactly these sources run. Those of another configuration are stopped
// first, because one of ours may be the same with a change. Called with the hub's
// lock held.
func (p *pooledHub) run(want sourceSet) {
	for key, source := range p.running {
		if want[key] == nil {
			source.halt()
		}
	}
	for _, source := range want {
		source.start()
	}
	p.running = maps.Clone(want)
	list := slices.Collect(maps.Values(want))
	pulls := *p.pulls.Load()
	if len(list)+len(pulls) == 0 {
		p.OnInterest(nil)
		return
	}
	p.OnInterest(func(channel string, on bool) (ready []<-chan struct{}) {
		for _, source := range list {
			ready = append(ready, source.Load().Interest(channel, on))
		}
		for _, source := range pulls {
			ready = append(ready, source.Interest(channel, on))
		}
		return ready
	})
}

// redisSources makes the handler's sources.
func (s *Sidestream) redisSources(app *App) error {
	gate, names := s.gate, s.names // and not s: the source outlives it
	for _, rs := range s.Redis {
		err := app.joinSource(s.Hub, rs, func(revocations []decode.Revocation) {
			for _, r := range revocations {
				gate.Revoke(r.User, names.Canonical(r.Channel))
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// redis reads a way in by Redis. Syntax, with the options of
// redis.Config.Option and, for what a message says, those of a webhook:
//
//	redis <url> {
//	    name       <name>
//	    subscribe  <channels...>
//	    psubscribe <patterns...>
//	    match      <regexp>
//	    on_demand
//	    stream     <key>
//	    field      <name>
//	    start      resume|$|0
//	    group      <name> [<consumer>]
//	    sentinel_user <username> <password>
//	    sentinel   <master> [<username> <password>]
//	    queue      <events> [<bytes>]
//	    probe      <duration>
//	    probe_channel <name>
//	    preset, format, each, map, drop, revoke ...
//	}
func (p *parser) redis() error {
	rs := new(RedisSource)
	if !p.AllArgs(&rs.URL) {
		return p.Errf("redis needs the address of the server, as in: redis redis://localhost:6379")
	}
	if err := p.mapped(rs.Option); err != nil {
		return p.Errf("redis: %v", err)
	}
	p.s.Redis = append(p.s.Redis, rs)
	return nil
}
