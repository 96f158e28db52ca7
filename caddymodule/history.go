package caddymodule

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/caddymodule/suggest"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/file"
	"github.com/seed-078801ba/sidestream/stream/log/memory"
	"github.com/seed-078801ba/sidestream/stream/log/redis"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
)

// History says how much a hub remembers, and where.
type History struct {
	// Where events are kept. `file` survives restarts and crashes: a webhook is
	// acknowledged when its events are on the disk. `memory` is gone with the
	// process. `redis` is shared by all Sidestreams that name the same one.
	// Default: `file`.
	Store string `json:"store,omitempty"`
	// The file. Default: `sidestream/<hub>.db` in Caddy's data directory.
	Path string `json:"path,omitempty"`
	// Acknowledge before the disk has the events. A crash of the machine then
	// loses what was acknowledged last. Clients are told, because every cursor
	// from before becomes void. Default: false.
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
	// The address of Redis: `redis://`, `rediss://`, `redis+sentinel://<host>,
	// <host>/<master>` or `redis+cluster://<host>,<host>`, with user and
	// password. Placeholders are resolved when the configuration is loaded.
	URL string `json:"url,omitempty"`
	// What the names of the keys in Redis begin with. Default: `sidestream`.
	Prefix string `json:"prefix,omitempty"`
	// How many replicas have to have the events before a webhook is
	// acknowledged. Default: 0.
	Replicas int `json:"replicas,omitempty"`
	// This Redis keeps over a crash what it has acknowledged (`appendfsync
	// always`). Webhooks are then answered 200 instead of 202.
	Durable bool `json:"durable,omitempty"`
	// The user and password of the sentinels, if they ask for one.
	SentinelUsername string `json:"sentinel_username,omitempty"`
	SentinelPassword string `json:"sentinel_password,omitempty"`
	// How many bytes the process may grow by for all channels together in a
	// `memory` store, what is remembered of events that are gone included.
	// Beyond, the largest channel loses its oldest events. Default: 256 MiB.
	Total int64 `json:"total,omitempty"`
}

// The stores by name.
const (
	storeFile   = "file"
	storeMemory = "memory"
	storeRedis  = "redis"
)

var storeNames = []string{storeFile, storeMemory, storeRedis}

// fill sets the defaults and checks the rest.
func (h *History) fill(hub string) error {
	ofRedis := h.URL != "" || h.Prefix != "" || h.Replicas != 0 || h.Durable || h.SentinelUsername != "" || h.SentinelPassword != ""
	switch h.Store {
	case "", storeFile:
		h.Store = storeFile
		if h.Path == "" {
			h.Path = filepath.Join(caddy.AppDataDir(), "sidestream", fileName(hub)+".db")
		}
	case storeMemory:
	case storeRedis:
		if h.URL == "" {
			return errors.New("history: store redis needs an address, as in: store redis redis://localhost:6379")
		}
	default:
		return fmt.Errorf("history: unknown store %q%s", h.Store, suggest.Among(h.Store, storeNames))
	}
	if h.Store != storeFile && (h.Path != "" || h.UnsafeNoSync) {
		return fmt.Errorf("history: store %s has no path and no sync: leave them out, or use store %s", h.Store, storeFile)
	}
	if h.Store != storeRedis && ofRedis {
		return fmt.Errorf("history: store %s knows nothing of Redis: leave its options out, or use store %s", h.Store, storeRedis)
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

// fileName is a hub's name as part of the name of a file.
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

// place names where the events are kept. A hub of the same name whose events are kept
// elsewhere is another hub.
func (h *History) place() string {
	switch h.Store {
	case storeMemory:
		return storeMemory
	case storeRedis:
		return fmt.Sprintf("%s %s %s %d %t %s %s", h.Store, h.URL, h.Prefix, h.Replicas, h.Durable, h.SentinelUsername, h.SentinelPassword)
	}
	return fmt.Sprintf("%s %s unsafe=%t", h.Store, h.Path, h.UnsafeNoSync)
}

// shown is the same for people, without secrets.
func (h *History) shown() string {
	switch h.Store {
	case storeMemory:
		return storeMemory
	case storeRedis:
		if at, err := redisconn.Parse(caddy.NewReplacer().ReplaceKnown(h.URL, "")); err == nil {
			return storeRedis + " " + at.String()
		}
		return storeRedis
	}
	return storeFile + " " + h.Path
}

// sharedName is the same on all nodes that share the history, and no secret;
// empty if it is not shared.
func (h *History) sharedName(hub string) string {
	if h.Store != storeRedis {
		return ""
	}
	return h.Prefix + "\x00" + hub
}

// open opens the store.
func (h *History) open(hub string) (log.Log, error) {
	switch h.Store {
	case storeMemory:
		return memory.New(h.retention(), time.Now), nil
	case storeRedis:
		return h.openRedis(hub)
	}
	f, err := file.Open(h.Path, file.Options{Retention: h.retention(), UnsafeNoSync: h.UnsafeNoSync})
	if err != nil {
		return nil, err
	}
	if f.Upgraded() {
		hubLogger().Warn(upgraded, "hub", hub, "path", h.Path)
	}
	return f, nil
}

// upgraded is what is logged of a history that another version has written.
const upgraded = "the history was written by an older version and is now in the format of this one: " +
	"nothing is lost, but clients that come back with a cursor are told of a gap"

func (h *History) openRedis(hub string) (log.Log, error) {
	at, err := h.address()
	if err != nil {
		return nil, err
	}
	r, err := redis.Open(redis.Options{
		Address: at, Hub: hub, Prefix: h.Prefix, Retention: h.retention(), Replicas: h.Replicas, Durable: h.Durable,
	})
	if err != nil {
		return nil, err
	}
	if r.Upgraded() {
		hubLogger().Warn(upgraded, "hub", hub, "redis", at.String())
	}
	return r, nil
}

// address is where the Redis of store redis is.
func (h *History) address() (redisconn.Address, error) {
	repl := caddy.NewReplacer()
	address, err := repl.ReplaceOrErr(h.URL, true, true)
	if err != nil {
		return redisconn.Address{}, err
	}
	at, err := redisconn.Parse(address)
	if err != nil {
		return at, err
	}
	for to, text := range map[*string]string{&at.SentinelUsername: h.SentinelUsername, &at.SentinelPassword: h.SentinelPassword} {
		if text == "" {
			continue // it may stand in the address
		}
		if *to, err = repl.ReplaceOrErr(text, true, true); err != nil {
			return at, err
		}
	}
	return at, nil
}
