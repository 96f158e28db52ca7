package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/caddymodule/operator"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook"
	"github.com/seed-078801ba/sidestream/webhook/pull"
)

func init() { caddy.RegisterModule(admin{}) }

// LastPath is where Caddy's admin API tells of the last deliveries to webhooks that
// were refused or could not be mapped. The parameter `webhook` names the path of one
// webhook.
const LastPath = "/sidestream/webhooks/last"

// PokePath is where Caddy's admin API has the app's lists read at once. The parameter
// `channel` names a channel, `hub` a hub; without them, it is about all of them that
// somebody listens to.
const PokePath = "/sidestream/poke"

// servePoke pokes the pulls.
func servePoke(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("use POST")}
	}
	query := r.URL.Query()
	taken := false
	openHubs.Range(func(v, _ any) bool {
		if hub := v.(*pooledHub); query.Get("hub") == "" || query.Get("hub") == hub.Name() {
			taken = hub.Poke(event.Poke{Channel: query.Get("channel"), Why: "the admin API"}) || taken
		}
		return true
	})
	if !taken {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("no pull reads this channel now")}
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// admin is the part of Caddy's admin API that is about Sidestream.
type admin struct{}

// CaddyModule returns the Caddy module information.
func (admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.sidestream", New: func() caddy.Module { return new(admin) }}
}

// Routes implements caddy.AdminRouter.
func (admin) Routes() []caddy.AdminRoute {
	routes := []caddy.AdminRoute{
		{Pattern: LastPath, Handler: caddy.AdminHandlerFunc(serveLast)},
		{Pattern: CoveragePath, Handler: caddy.AdminHandlerFunc(serveCoverage)},
		{Pattern: PokePath, Handler: caddy.AdminHandlerFunc(servePoke)},
	}
	for _, path := range operators.Paths() {
		routes = append(routes, caddy.AdminRoute{Pattern: path, Handler: caddy.AdminHandlerFunc(serveOperator)})
	}
	return routes
}

// operators is what operators ask.
var operators = &operator.API{Hubs: hubsForOperators}

func serveOperator(w http.ResponseWriter, r *http.Request) error {
	err := operators.Serve(w, r)
	var wrong *operator.Error
	if errors.As(err, &wrong) {
		return caddy.APIError{HTTPStatus: wrong.Status, Err: wrong}
	}
	return err
}

// hubsForOperators lists the hubs that are open, and what is known of them.
func hubsForOperators() (hubs []operator.Hub) {
	openHubs.Range(func(v, _ any) bool {
		p := v.(*pooledHub)
		h := operator.Hub{Hub: p.Hub, Live: &p.live, Sources: p.waysIn()}
		for _, reason := range p.unhealthy() {
			h.Unhealthy = append(h.Unhealthy, reason.String())
		}
		p.mu.Lock()
		if n := len(p.tenants); n > 0 {
			t := p.tenants[n-1]
			h.Store, h.Names = t.history.shown(), *t.names
		}
		p.mu.Unlock()
		hubs = append(hubs, h)
		return true
	})
	return hubs
}

// waysIn are the hub's sources and webhooks.
func (p *pooledHub) waysIn() (ways []operator.Source) {
	p.webhooks.Range(func(path, counts any) bool {
		ways = append(ways, counts.(*webhookCounts).view("webhook "+path.(string)))
		return true
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, source := range p.running {
		s := source.Load()
		st := s.Stats()
		ways = append(ways, operator.Source{
			Name: "redis " + s.Name(), Connected: st.Connected, Received: st.Received, Stored: st.Published, Unmapped: st.Unmapped,
			Refused: st.Refused, LastError: s.Trouble(),
		})
	}
	p.eachPull(func(s *pull.Source) {
		st := s.Stats()
		v := operator.Source{Name: "pull " + s.Name(), Connected: !st.Paused, Received: st.Published + st.Duplicates, Stored: st.Published, LastError: s.Trouble()}
		for _, n := range st.UnmappedFor {
			v.Unmapped += n
		}
		ways = append(ways, v)
	})
	slices.SortFunc(ways, func(a, b operator.Source) int { return strings.Compare(a.Name, b.Name) })
	return ways
}

// view is the webhook as an operator sees it. What was refused last stands for its last
// error, for an hour.
func (c *webhookCounts) view(name string) operator.Source {
	v := operator.Source{Name: name, Connected: true}
	c.mu.Lock()
	for status, n := range c.requests {
		v.Received += n
		if status >= 400 {
			v.Refused += n
		}
	}
	for _, n := range c.unmapped {
		v.Unmapped += n
	}
	v.Stored = c.stored
	c.mu.Unlock()
	if last := c.last.Deliveries(); len(last) > 0 {
		v.LastError = last[len(last)-1].Reason
	}
	return v
}

// LastDelivery is one delivery, and where it came.
type LastDelivery struct {
	Hub     string `json:"hub"`
	Webhook string `json:"webhook"`
	webhook.Delivery
}

// serveLast answers with a JSON array of LastDelivery, oldest first.
func serveLast(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("use GET")}
	}
	all := []LastDelivery{}
	only := r.URL.Query().Get("webhook")
	openHubs.Range(func(v, _ any) bool {
		hub := v.(*pooledHub)
		hub.webhooks.Range(func(path, counts any) bool {
			if path := path.(string); only == "" || path == only || strings.HasPrefix(path, only+"/"+webhook.Masked) {
				for _, d := range counts.(*webhookCounts).last.Deliveries() {
					all = append(all, LastDelivery{hub.Name(), path, d})
				}
			}
			return true
		})
		return true
	})
	slices.SortStableFunc(all, func(a, b LastDelivery) int { return a.At.Compare(b.At) })
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(all)
}

// Interface guard.
var _ caddy.AdminRouter = admin{}
