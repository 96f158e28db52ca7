package caddymodule

import (
	"sync"

	"github.com/seed-078801ba/sidestream/stream/bus"
	busredis "github.com/seed-078801ba/sidestream/stream/bus/redis"
)

// openBus makes what carries words between the nodes of a hub: by Redis, where they
// share a history there.
func (h *History) openBus(hub string) (bus.Bus, error) {
	if h.Store != storeRedis {
		return bus.NewMemory(), nil
	}
	at, err := h.address()
	if err != nil {
		return nil, err
	}
	prefix := h.Prefix
	orDefault(&prefix, "sidestream")
	report := busReport{hub: hub}
	return busredis.Open(busredis.Options{Address: at, Channel: prefix + ":{" + hub + "}:bus", Report: report.tell}), nil
}

// busReport logs that a bus is not connected, once for each cause.
type busReport struct {
	hub string

	mu     sync.Mutex
	causes map[string]bool // that were logged since it was connected
}

func (r *busReport) tell(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case cause == nil && len(r.causes) > 0:
		r.causes = nil
		hubLogger().Info("presence and direct messages go between nodes again", "hub", r.hub)
	case cause != nil && !r.causes[cause.Error()] && len(r.causes) < maxBusCauses:
		if r.causes == nil {
			r.causes = map[string]bool{}
		}
		r.causes[cause.Error()] = true
		hubLogger().Warn("presence and direct messages do not go between nodes: each node knows only its own", "hub", r.hub, "error", cause)
	}
}

// maxBusCauses bounds how many causes of one outage are logged.
const maxBusCauses = 8
