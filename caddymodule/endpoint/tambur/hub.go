package tambur

import (
	"sync"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
)

// appKey names an app over all configurations.
type appKey struct{ key, id string }

// hub is what all Tambur clients of a hub share, over reloads.
type hub struct {
	mu        sync.Mutex
	apps      map[appKey]running
	polling   map[string]*poller
	listening bool
	direct    map[string][]*subscriber // by address, see addressOf
	rolls     map[string]*roll         // by channel of the roster
}

// running is an app in the configuration that was used last.
type running struct {
	endpoint *tambur
	server   *endpoint.Server
	app      *application
}

// hubOf is the hub that a server serves.
func hubOf(s *endpoint.Server) *hub {
	return s.Lasting.Keep("tambur", func() any {
		return &hub{apps: map[appKey]running{}, polling: map[string]*poller{}, direct: map[string][]*subscriber{}, rolls: map[string]*roll{}}
	}).(*hub)
}

// use notes by which configuration an app is served now: connections that were made
// under an older one are, too.
func (h *hub) use(e *tambur, s *endpoint.Server, app *application) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := appKey{app.key, app.id}
	if h.apps[key].endpoint == e {
		return
	}
	h.apps[key] = running{e, s, app}
}

// current is how an app is served now; nil if it never was.
func (h *hub) current(key appKey) (*endpoint.Server, *application) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.apps[key]
	return r.server, r.app
}
