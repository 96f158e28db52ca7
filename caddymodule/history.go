package caddymodule

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/stream/log"
)

// History says how much a hub remembers, and where.
type History struct {
	// Where events are kept. `file` survives restarts and crashes: a webhook is
	// acknowledged when its events are on the disk. `memory` is gone with the
	// process. Default: `file`.
	Store string `json:"store,omitempty"`
	// The file. Default: `sidestream/<hub>.db` in Caddy's data directory.
	Path string `json:"path,omitempty"`
	// Acknowledge before the disk has the events. A crash of the machine then
	// loses what was acknowledged in its last moments; clients are told, as
	// every cursor from before is void. Default: false.
	UnsafeNoSync bool `json:"unsafe_no_sync,omitempty"`
	// The newest events that are kept of each channel. Default: 1000.
	Events int `json:"events,omitempty"`
	// How long an event is kept. Default: `24h`.
	Age caddy.Duration `json:"age,omitempty"`
	// How many bytes of events are kept of each channel. Default: 8 MiB.
	Bytes int64 `json:"bytes,omitempty"`
	// How long the ids of events are remembered, to know a repeated delivery;
	// at least as long as the events. Default: `24h`.
	Keys caddy.Duration `json:"keys,omitempty"`
	// The bytes of all channels together in a `memory` store; the largest
	// channel gives first. Default: 256 MiB.
	Total int64 `json:"total,omitempty"`
}

// The stores by name.
const (
	storeFile   = "file"
	storeMemory = "memory"
)

// fill sets the defaults and checks the rest.
func (h *History) fill(hub string) error {
	switch h.Store {
	case "", storeFile:
		h.Store = storeFile
		if h.Path == "" {
			h.Path = filepath.Join(caddy.AppDataDir(), "sidestream", fileName(hub)+".db")
		}
	case storeMemory:
		if h.Path != "" || h.UnsafeNoSync {
			return fmt.Errorf("history: store %s has no path and no sync: leave them out, or use store %s", storeMemory, storeFile)
		}
	default:
		return fmt.Errorf("history: unknown store %q: use %s or %s", h.Store, storeFile, storeMemory)
	}
	if h.Events < 0 || h.Age < 0 || h.Bytes < 0 || h.Keys < 0 || h.Total < 0 {
		return errors.New("history: counts, times and sizes must be above zero")
	}
	orDefault(&h.Events, 1000)
	orDefault(&h.Age, caddy.Duration(24*time.Hour))
	orDefault(&h.Bytes, 8<<20)
	orDefault(&h.Keys, caddy.Duration(24*time.Hour))
	orDefault(&h.Total, 256<<20)
	return nil
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// fileName makes a hub's name fit for a file.
func fileName(hub string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '_'
	}, hub)
}

func (h *History) retention() log.Retention {
	return log.Retention{
		Events: h.Events, Age: time.Duration(h.Age), Bytes: h.Bytes, Keys: time.Duration(h.Keys), Total: h.Total,
	}
}

// place names what the events are kept in. A hub whose configuration names
// another place is another hub.
func (h *History) place() string {
	if h.Store == storeMemory {
		return storeMemory
	}
	return fmt.Sprintf("%s %s unsafe=%t", h.Store, h.Path, h.UnsafeNoSync)
}
