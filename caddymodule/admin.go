package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/webhook"
)

func init() { caddy.RegisterModule(admin{}) }

// LastPath is where Caddy's admin API tells of the last deliveries to webhooks that
// were refused or could not be mapped. The parameter `webhook` names the path of one
// webhook.
const LastPath = "/sidestream/webhooks/last"

// admin is the part of Caddy's admin API that is about Sidestream.
type admin struct{}

// CaddyModule returns the Caddy module information.
func (admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.sidestream", New: func() caddy.Module { return new(admin) }}
}

// Routes implements caddy.AdminRouter.
func (admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: LastPath, Handler: caddy.AdminHandlerFunc(serveLast)},
		{Pattern: CoveragePath, Handler: caddy.AdminHandlerFunc(serveCoverage)},
	}
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
