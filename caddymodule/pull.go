package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/webhook/pull"
)

// Pull is a way in that needs nothing of the app: the app's own lists of messages are
// read, with a credential of Sidestream's own.
type Pull struct {
	pull.Config

	config pull.Config // with its secrets
}

// placeholder is one of Caddy's in an address. Others are names of the language.
var placeholder = regexp.MustCompile(`\{(?:env|file)\.[^{}]+\}`)

func (s *Sidestream) provisionPulls(repl *caddy.Replacer) error {
	taken := map[string]bool{}
	for _, p := range s.Pulls {
		if err := p.provision(repl); err != nil {
			return err
		}
		if name := p.shownName(); taken[name] {
			return fmt.Errorf("pull: two are called %q: give one of them another `name`", name)
		}
		taken[p.shownName()] = true
	}
	return nil
}

// provision fills in the secrets. The configuration that Caddy keeps has placeholders
// instead.
func (p *Pull) provision(repl *caddy.Replacer) error {
	c := p.Config
	var err error
	resolve := func(text string) string {
		out, failed := repl.ReplaceOrErr(text, true, true)
		if failed != nil && err == nil {
			err = failed
		}
		return out
	}
	inAddress := func(text string) string {
		return placeholder.ReplaceAllStringFunc(text, func(name string) string { return url.PathEscape(resolve(name)) })
	}
	for _, text := range []*string{&c.Token, &c.User} {
		if *text != "" {
			*text = resolve(*text)
		}
	}
	for _, text := range []*string{&c.URI, &c.Newest, &c.Next} {
		*text = inAddress(*text)
	}
	c.Headers = slices.Clone(c.Headers)
	for i := range c.Headers {
		c.Headers[i].Value = placeholder.ReplaceAllStringFunc(c.Headers[i].Value, resolve)
	}
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	p.config = c
	return nil
}

// shownName is what the log, metrics and marks call it.
func (p *Pull) shownName() string {
	switch {
	case p.Name != "":
		return p.Name
	case p.Preset != "":
		return p.Preset
	}
	return pull.DefaultName
}

// asksBackend tells whether the backend is asked, and not a server of its own.
func (p *Pull) asksBackend() bool { return p.Server() == "" }

// asker asks the app for a pull.
type asker struct{ backend *forwardauth.Backend }

// Ask implements pull.Asker.
func (a asker) Ask(ctx context.Context, r *pull.Request) (*pull.Answer, error) {
	if r.Server != "" {
		return pull.Direct.Ask(ctx, r)
	}
	status, header, body, err := a.backend.Get(ctx, forwardauth.Page{URI: r.URI, Shown: r.Shown, Header: r.Header, Limit: r.Limit})
	if err != nil {
		return nil, err
	}
	return &pull.Answer{Status: status, Header: header, Body: body}, nil
}

// joinPulls makes the handler's pulls ways in of its hub.
func (s *Sidestream) joinPulls(t *tenancy) error {
	hub, names, ask := t.hub, t.names, asker{s.backend}
	for _, p := range s.Pulls {
		if p.asksBackend() && s.backend == nil {
			return fmt.Errorf("pull: %w", errNoBackend)
		}
		name := p.shownName()
		if slices.ContainsFunc(t.pulls, func(other pullWay) bool { return other.name == name }) {
			return fmt.Errorf("pull: two of hub %q are called %q: give one of them another `name`", s.Hub, name)
		}
		config, kept := p.config, hub.Log()
		config.Name = name
		way := hub.wayIn("pull " + name)
		way.poker = nil
		options := pull.Options{
			Asker: ask, Publisher: way, Mark: kept.Mark, Logger: hubLogger(),
			Canonical: func(name string) string { return names.Canonical(name) },
			Knows: func(channel, id string) (bool, error) {
				_, ok, err := kept.SeqOf(channel, id)
				return ok, err
			},
			Head: hub.Head, Proven: hub.Prove, Began: hub.Began, Turn: turnOf(kept),
		}
		t.pulls = append(t.pulls, pullWay{name, func() (*pull.Source, error) { return pull.New(config, options) }})
	}
	return nil
}

// turnOf is how nodes that share a log take turns; nil if it is not shared.
func turnOf(l log.Log) func(context.Context, string, time.Duration, bool) (func(time.Duration), pull.Outcome, error) {
	shared, ok := l.(log.Turns)
	if !ok {
		return nil
	}
	return func(ctx context.Context, name string, most time.Duration, again bool) (func(time.Duration), pull.Outcome, error) {
		free, outcome, err := shared.Turn(ctx, name, most, again)
		switch outcome {
		case log.TurnMine:
			return free, pull.Mine, err
		case log.TurnDone:
			return nil, pull.Done, err
		}
		return nil, pull.Taken, err
	}
}

// pullWay is a pull of one configuration. It is made anew for each time that the
// configuration runs: all that must be remembered is in the log.
type pullWay struct {
	name string
	make func() (*pull.Source, error)
}

// runningPull is a pull that runs.
type runningPull struct {
	*pull.Source
	stop context.CancelFunc
	done chan struct{}
}

// runPulls makes exactly these pulls run, and what rings for them. Called with the hub's
// lock held.
func (p *pooledHub) runPulls(want []pullWay, doorbells []func() (*pull.Doorbell, error)) {
	old := p.pulls.Load()
	running := []*runningPull{}
	for _, way := range want {
		source, err := way.make()
		if err != nil {
			hubLogger().Error("a pull cannot begin", "source", way.name, "error", err)
			continue
		}
		running = append(running, &runningPull{Source: source, done: make(chan struct{})})
	}
	if p.stopDoorbells != nil {
		p.stopDoorbells()
		p.stopDoorbells = nil
	}
	if old != nil {
		for _, r := range *old {
			r.stop()
			<-r.done
			for _, next := range running {
				if next.Name() == r.Name() {
					next.TakeOver(r.Source)
				}
			}
		}
	}
	for _, r := range running {
		var ctx context.Context
		ctx, r.stop = context.WithCancel(context.Background())
		go func() { // ends with stop
			defer close(r.done)
			if err := r.Run(ctx); err != nil {
				hubLogger().Error("a pull ends", "source", r.Name(), "error", err)
			}
		}()
	}
	p.pulls.Store(&running)
	p.runDoorbells(doorbells)
}

// runDoorbells listens to doorbells until stopDoorbells. Called with the hub's lock held.
func (p *pooledHub) runDoorbells(doorbells []func() (*pull.Doorbell, error)) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	for _, make := range doorbells {
		bell, err := make()
		if err != nil {
			hubLogger().Error("a doorbell cannot begin", "error", err)
			continue
		}
		work.Go(func() { bell.Run(ctx) })
	}
	p.stopDoorbells = func() {
		cancel()
		work.Wait()
	}
}

// eachPull calls f for every pull that runs.
func (p *pooledHub) eachPull(f func(*pull.Source)) {
	if running := p.pulls.Load(); running != nil {
		for _, r := range *running {
			f(r.Source)
		}
	}
}

// Poke implements event.Poker: every pull that reads the channel looks into the app.
func (p *pooledHub) Poke(poke event.Poke) (taken bool) {
	p.eachPull(func(s *pull.Source) { taken = s.Poke(poke) || taken })
	return taken
}

// pokeFor is Poke for those who have one reason.
func (p *pooledHub) pokeFor(why string) func(channel string) {
	return func(channel string) { p.Poke(event.Poke{Channel: channel, Why: why}) }
}

// expectSince has nothing swallowed that is said in a channel from a time on.
func (p *pooledHub) expectSince(channel string, at time.Time, head event.Cursor) {
	p.eachPull(func(s *pull.Source) { s.Since(channel, at, head) })
}

// pull reads a way in that reads the app's own lists. Syntax, with the options of
// pull.Config.Option:
//
//	pull GET <uri> { ... }
//	pull preset <name> { ... }
func (p *parser) pull() error {
	args := p.RemainingArgs()
	if len(args) != 2 || args[0] != http.MethodGet && args[0] != "preset" {
		return p.Errf("pull needs a path or a preset, as in: pull GET /room/{channel}/recent.json?since_message_id={last.id}, or: pull preset mattermost")
	}
	way := new(Pull)
	if args[0] == "preset" {
		if err := way.Option("preset", args[1:]); err != nil {
			return p.Errf("pull: %v", err)
		}
	} else {
		way.URI = args[1]
	}
	if err := p.mapped(way.Option); err != nil {
		return p.Errf("pull: %v", err)
	}
	if err := way.Check(); err != nil {
		return p.Errf("pull: %v", err)
	}
	p.s.Pulls = append(p.s.Pulls, way)
	return nil
}
