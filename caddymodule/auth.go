package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream/access"
)

// Auth says how the backend is asked whether a client may listen to a channel,
// and how often. It must be configured: either a request, or None.
type Auth struct {
	forwardauth.Config

	// Timeout bounds one question. Default: `3s`.
	Timeout caddy.Duration `json:"timeout,omitempty"`
	// Cache is how long an answer that allows is used for other streams of the
	// same client. Default: `30s`.
	Cache caddy.Duration `json:"cache,omitempty"`
	// Negative is how long an answer that refuses is used; one that does not
	// accept the credentials for 2 s at most. Default: `5s`.
	Negative caddy.Duration `json:"negative,omitempty"`
	// Recheck is how often the backend is asked again while a stream runs.
	// Default: `60s`.
	Recheck caddy.Duration `json:"recheck,omitempty"`
	// Grace is how long a stream goes on while the backend does not answer.
	// New streams are refused at once. Default: `3m`.
	Grace caddy.Duration `json:"grace,omitempty"`
	// MaxInFlight bounds the questions that run at one time. Default: 32.
	MaxInFlight int `json:"max_in_flight,omitempty"`

	// Filter says what happens to a stream of several channels of which one is
	// denied: `all` refuses the stream (default), `intersect` serves the
	// others.
	Filter string `json:"filter,omitempty"`
	// Hide answers 404 where the backend said 403, so that nobody learns which
	// channels exist.
	Hide bool `json:"hide,omitempty"`
}

const (
	filterAll       = "all"
	filterIntersect = "intersect"
)

// Defaults of Auth.
const (
	defaultAuthTimeout = 3 * time.Second
	defaultAuthCache   = 30 * time.Second
	defaultNegative    = 5 * time.Second
	defaultRecheck     = time.Minute
	defaultGrace       = 3 * time.Minute
	defaultMaxInFlight = 32
)

// errNoAuth is the error of a configuration that says nothing of access.
var errNoAuth = errors.New("auth is missing: say how the backend is asked who may listen, as in " +
	"`auth GET /room/{channel}.json`, or write `auth none` if everybody may")

// errNoBackend is the error of a configuration whose auth has nobody to ask.
var errNoBackend = errors.New("backend is missing: say where the app is that auth asks, as in " +
	"`sidestream localhost:3000` or `backend unix//run/chat.sock`")

// provision fills in the defaults of how often the backend is asked.
func (a *Auth) provision() error {
	if a.None {
		return nil
	}
	for _, d := range []struct {
		value *caddy.Duration
		def   time.Duration
		name  string
	}{
		{&a.Timeout, defaultAuthTimeout, "timeout"}, {&a.Cache, defaultAuthCache, "cache"},
		{&a.Negative, defaultNegative, "negative"}, {&a.Recheck, defaultRecheck, "recheck"}, {&a.Grace, defaultGrace, "grace"},
	} {
		if *d.value < 0 {
			return fmt.Errorf("auth: %s is negative", d.name)
		}
		if *d.value == 0 {
			*d.value = caddy.Duration(d.def)
		}
	}
	if a.MaxInFlight <= 0 {
		a.MaxInFlight = defaultMaxInFlight
	}
	switch a.Filter {
	case "":
		a.Filter = filterAll
	case filterAll, filterIntersect:
	default:
		return fmt.Errorf("auth: filter is all or intersect, not %q", a.Filter)
	}
	return nil
}

// gateConfig is what the gate is told of this configuration.
func (a *Auth) gateConfig() access.Config {
	return access.Config{
		Allowed: time.Duration(a.Cache), Denied: time.Duration(a.Negative),
		BadCredential: min(time.Duration(a.Negative), 2*time.Second),
		MaxInFlight:   a.MaxInFlight, Timeout: time.Duration(a.Timeout),
		Cadence: time.Duration(a.Recheck), Grace: time.Duration(a.Grace),
	}
}

// provisionAuth sets up the way to the backend.
func (s *Sidestream) provisionAuth(ctx caddy.Context, repl *caddy.Replacer) error {
	if s.Auth == nil {
		return errNoAuth
	}
	text, err := json.Marshal(s.Auth) // before defaults are filled in
	if err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	backendText := s.BackendRaw
	if err := s.Auth.provision(); err != nil {
		return err
	}
	var backend *forwardauth.Backend
	host := ""
	if !s.Auth.None || slices.ContainsFunc(s.Pulls, (*Pull).asksBackend) {
		proxy, err := s.loadBackend(ctx)
		if err != nil {
			return err
		}
		if host, err = s.askedHost(ctx, text, proxy, repl); err != nil {
			return err
		}
		s.logger.Debug("the app is asked under this host", "host", host)
		server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
		if server == nil {
			server = new(caddyhttp.Server) // for `explain`, which runs none
		}
		for _, upstream := range proxy.Upstreams {
			s.upstreams = append(s.upstreams, upstream.Dial)
		}
		backend = forwardauth.NewBackend(proxy, server, host)
	}
	s.backend, s.askedAs = backend, host
	s.way = digestOf(text, backendText)
	s.scope = digestOf([]byte(s.way), []byte(host))
	config := s.Auth.With(func(text string) string { return repl.ReplaceKnown(text, "") })
	s.askFor = func(request string) (*forwardauth.Auth, error) {
		if config.None {
			return s.auth, nil
		}
		return forwardauth.New(askAbout(config, request), digestOf([]byte(s.scope), []byte(request)), backend, s.logger)
	}
	s.auth, err = forwardauth.New(config, s.scope, backend, s.logger)
	return err
}

// loadBackend makes the reverse proxy that leads to the app.
func (s *Sidestream) loadBackend(ctx caddy.Context) (*reverseproxy.Handler, error) {
	if s.BackendRaw == nil {
		return nil, errNoBackend
	}
	module, err := ctx.LoadModule(s, "BackendRaw")
	if err != nil {
		return nil, fmt.Errorf("loading backend: %w", err)
	}
	proxy, ok := module.(*reverseproxy.Handler)
	if !ok {
		return nil, fmt.Errorf("backend is a %T, it needs to be a reverse_proxy", module)
	}
	return proxy, nil
}

// digestOf names a way of asking: the same for all handlers, and after all
// reloads, that ask in the same way.
func digestOf(a, b []byte) string {
	sum := sha256.Sum256(slices.Concat(a, []byte{0}, b))
	return hex.EncodeToString(sum[:])
}
