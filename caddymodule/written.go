package caddymodule

import (
	"fmt"
	"strings"
	"sync"
)

// written remembers where in a Caddyfile the directives of a hub stand, for errors and
// warnings that come when a configuration is set up, and not while it is read. That is
// in the process that has read the file: with validate, run and start, but not for a
// server that gets a configuration from "reload". The key is the hub, and what stands
// there: "" for the directive itself, "webhook /hooks/chat", "auth".
var written sync.Map

// note remembers where the parser stands.
func (p *parser) note(what string) {
	p.places = append(p.places, place{what, fmt.Sprintf("%s:%d", p.File(), p.Line())})
}

// place is where something stands.
type place struct{ what, at string }

// keepPlaces remembers what the parser has noted, as soon as the hub is known.
func (p *parser) keepPlaces() {
	hub := p.s.Hub
	if hub == "" {
		hub = defaultHub
	}
	for _, place := range p.places {
		written.Store(hub+"\x00"+place.what, place.at)
	}
}

// writtenAt is where what a text begins with stands, or the directive itself; empty if
// that is not known.
func (s *Sidestream) writtenAt(text string) (at string) {
	longest := -1
	written.Range(func(key, value any) bool {
		hub, what, _ := strings.Cut(key.(string), "\x00")
		if hub == s.Hub && strings.HasPrefix(text, what) && len(what) > longest {
			at, longest = value.(string), len(what)
		}
		return true
	})
	return at
}

// located says where in the file an error is, if that is known.
func (s *Sidestream) located(err error) error {
	if at := s.writtenAt(err.Error()); at != "" {
		return fmt.Errorf("%s: %w", at, err)
	}
	return err
}
