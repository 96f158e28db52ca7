package caddymodule

import (
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/endpoint/bayeux"
	"github.com/seed-078801ba/sidestream/caddymodule/endpoint/tambur"
	"github.com/seed-078801ba/sidestream/caddymodule/suggest"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// Endpoints are the kinds of clients that a site serves: the registry. Each field
// is the settings of one kind, by the name that it has in configuration, logs and
// metrics. If none is given, Campfire and Flowdock are on, without prefix.
type Endpoints struct {
	// Campfire turns on the streams of Campfire.
	Campfire *endpoint.Campfire `json:"campfire,omitempty"`
	// Flowdock turns on the streams of Flowdock.
	Flowdock *endpoint.Flowdock `json:"flowdock,omitempty"`
	// Bayeux turns on the endpoint for clients of Faye and CometD.
	Bayeux *bayeux.Bayeux `json:"bayeux,omitempty"`
	// Tambur turns on the WebSockets, and the signed publishing, of Tambur.io.
	Tambur *tambur.Tambur `json:"tambur,omitempty"`
}

// fields are the settings of all kinds by name, nil for those that are off.
func (e *Endpoints) fields() iter.Seq2[string, reflect.Value] {
	return func(yield func(string, reflect.Value) bool) {
		v := reflect.ValueOf(e).Elem()
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if !yield(name, v.Field(i)) {
				return
			}
		}
	}
}

// kinds are the settings of the kinds that are on.
func (e *Endpoints) kinds() iter.Seq2[string, endpoint.Kind] {
	return func(yield func(string, endpoint.Kind) bool) {
		for name, field := range e.fields() {
			if !field.IsNil() && !yield(name, field.Interface().(endpoint.Kind)) {
				return
			}
		}
	}
}

// turnOn gives the settings of a kind, which is on from then on; nil if there is
// none of that name.
func (e *Endpoints) turnOn(name string) endpoint.Kind {
	for known, field := range e.fields() {
		if known != name {
			continue
		}
		if field.IsNil() {
			field.Set(reflect.New(field.Type().Elem()))
		}
		return field.Interface().(endpoint.Kind)
	}
	return nil
}

// fill turns on what is usual where nothing is configured.
func (e *Endpoints) fill() {
	for range e.kinds() {
		return
	}
	for name, field := range e.fields() {
		if reflect.New(field.Type().Elem()).Interface().(endpoint.Kind).Usual() {
			e.turnOn(name)
		}
	}
}

// channelNames is how the hub's channels are named, where one of the endpoints
// has a say in it.
func (e *Endpoints) channelNames() (names event.Names, said bool) {
	for _, kind := range e.kinds() {
		if namer, ok := kind.(endpoint.Namer); ok {
			return namer.ChannelNames(), true
		}
	}
	return event.Names{}, false
}

// endpointNames lists all kinds of endpoints.
func endpointNames() []string {
	var names []string
	for name := range new(Endpoints).fields() {
		names = append(names, name)
	}
	return names
}

// provisionEndpoints sets up what serves the clients. Hub, gate and names come
// later, when the hub is joined.
func (s *Sidestream) provisionEndpoints(repl *caddy.Replacer) error {
	s.Endpoints.fill()
	for _, name := range slices.Sorted(maps.Keys(s.Heartbeat)) {
		if !slices.Contains(endpointNames(), name) {
			return fmt.Errorf("heartbeat: unknown endpoint %q%s", name, suggest.Among(name, endpointNames()))
		}
		if s.Heartbeat[name] < caddy.Duration(100*time.Millisecond) {
			return fmt.Errorf("heartbeat: %s is too often for %s", time.Duration(s.Heartbeat[name]), name)
		}
	}
	cookies := s.auth.Ambient()
	if s.CORS != nil {
		if err := s.CORS.Validate(cookies); err != nil {
			return err
		}
	}
	s.server = &endpoint.Server{
		Auth: s.auth, Intersect: s.Auth.Filter == filterIntersect, Hide: s.Auth.Hide, Revocable: s.Revoke != nil,
		Address: s.clientAddress, Logger: s.logger,
	}
	for name, kind := range s.Endpoints.kinds() {
		if err := endpoint.CheckPrefix(name, kind.Where().Prefix); err != nil {
			return err
		}
		if secretive, ok := kind.(endpoint.Secretive); ok {
			if err := secretive.Resolve(func(text string) (string, error) { return repl.ReplaceOrErr(text, true, true) }); err != nil {
				return err
			}
		}
		if checked, ok := kind.(endpoint.Checked); ok {
			if err := checked.Check(); err != nil {
				return err
			}
		}
		every := kind.Heartbeat()
		if configured, ok := s.Heartbeat[name]; ok {
			every = time.Duration(configured)
		}
		objects, err := s.provisionObjects(kind, repl)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		origins := s.origins(cookies)
		e := kind.New(endpoint.Site{Realm: s.Realm, MaxChannels: s.Limits.Channels, Origins: origins, Heartbeat: every, Objects: objects})
		if open, ok := e.(interface{ AnyOrigin() bool }); ok && open.AnyOrigin() {
			origins.AnyToken = s.CORS == nil && !cookies && !s.Auth.None && !s.Auth.Anonymous
		}
		s.server.Mount(name, e, origins, every)
	}
	return nil
}

// origins says which web pages may open the streams of an endpoint.
func (s *Sidestream) origins(cookies bool) *endpoint.Origins {
	mask := s.auth.Mask()
	o := &endpoint.Origins{Cookies: cookies, Headers: mask.Headers()}
	if s.CORS != nil {
		o.Listed = s.CORS.Origins
	}
	return o
}

// shareNames settles how the hub's channels are named. Who has a say in it says
// so for all: a channel has one name, whatever kind of client asks for it.
func (s *Sidestream) shareNames(t *tenancy) error {
	if own, said := s.Endpoints.channelNames(); said {
		if t.named && own != *t.names {
			return fmt.Errorf("hub %q: of two handlers only one has flowdock with opaque_ids: make them the same, or give one of them another hub name", s.Hub)
		}
		*t.names, t.named = own, true
	}
	s.names = t.names
	return nil
}
