package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/endpoint/bayeux"
	"github.com/seed-078801ba/sidestream/caddymodule/endpoint/signed"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// provisionObjects sets up the signed names of the app's objects; nil if a kind of
// endpoint has none.
func (s *Sidestream) provisionObjects(kind endpoint.Kind, repl *caddy.Replacer) (*endpoint.Objects, error) {
	signer, ok := kind.(endpoint.Signer)
	if !ok || len(signer.SignedBy()) == 0 {
		return nil, nil
	}
	secrets, err := resolveSecrets(repl, signer.SignedBy())
	if err != nil {
		return nil, fmt.Errorf("signed: %w", err)
	}
	roots, err := signed.New(secrets, &s.epochs)
	if err != nil {
		return nil, fmt.Errorf("signed: %w", err)
	}
	objects := &endpoint.Objects{Roots: roots, Asks: map[string]*forwardauth.Auth{}}
	objects.Announced, objects.URL, objects.Path = signer.Announces()
	s.objects = append(s.objects, objects)
	for name, request := range signer.Objects() {
		if request == "" {
			continue
		}
		auth, err := s.askFor(request)
		if err != nil {
			return nil, fmt.Errorf("object %s: %w", name, err)
		}
		objects.Asks[name] = auth
		s.objectAuths = append(s.objectAuths, auth)
	}
	return objects, nil
}

// askAbout is a way to ask the backend with the clients' credentials, as auth does,
// but for another page, and with no more conditions than its status.
func askAbout(config forwardauth.Config, request string) forwardauth.Config {
	config.URI, config.Method, config.Form = request, "", nil
	config.Allow, config.AllowJSON, config.Deny, config.DenyJSON, config.Status = nil, nil, nil, nil, nil
	config.List, config.ListJSON, config.AllChannels = "", "", false
	config.User, config.UserJSON, config.UserHeader, config.Identity, config.HistoryShown = "", "", "", "", ""
	return config
}

// hubEpochs are those of the hub that a handler joins after it was set up.
type hubEpochs struct{ atomic.Pointer[signed.Kept] }

// Epoch implements signed.Epochs.
func (e *hubEpochs) Epoch(o event.Object) uint32 {
	if kept := e.Load(); kept != nil {
		return kept.Epoch(o)
	}
	return 0
}

// keepEpochs has the hub's log keep which objects' roots were made anew.
func (p *pooledHub) keepEpochs() {
	p.epochs.Load = func() (string, error) { return p.Log().Mark(signed.Source) }
	p.epochs.Changed = func(objects []event.Object) { bayeux.EndObjects(&p.lasting, objects) }
}

// rolledWord is what nodes that share a history tell each other when the roots of an
// object were made anew.
type rolledWord struct {
	Rolled string `json:"rolled_by"`
}

// errRolling: several nodes were at it.
var errRolling = errors.New("the roots of several objects were made anew at once")

// roll makes the root of an object anew: the old one is worth nothing any more, on
// all nodes that share the history.
func (s *Sidestream) roll(ctx context.Context, kind, id string) error {
	o, epochs := event.ObjectOf(kind, id), s.epochs.Load()
	for range 3 {
		if err := epochs.Refresh(); err != nil {
			return err
		}
		want := epochs.Epoch(o) + 1
		text, err := epochs.Next(o)
		if err != nil {
			return err
		}
		if _, err := s.hub.Publish(ctx, event.Batch{Mark: &event.Mark{Source: signed.Source, Value: text}}); err != nil {
			return err
		}
		if err := epochs.Refresh(); err != nil {
			return err
		}
		if epochs.Table.Epoch(o) >= want {
			word, err := json.Marshal(rolledWord{nodeID})
			if err != nil {
				return err
			}
			return s.hub.Word(ctx, string(word))
		}
	}
	return errRolling
}

// hearWords acts on what other nodes say.
func (p *pooledHub) hearWords(gate *pooledGate, hub *stream.Hub) {
	hub.OnWord(func(text string) {
		gate.hearRevocation(text)
		var word rolledWord
		if err := json.Unmarshal([]byte(text), &word); err == nil && word.Rolled != "" && word.Rolled != nodeID {
			go p.epochs.Refresh() // it must not wait; what fails now is read again soon
		}
	})
}
