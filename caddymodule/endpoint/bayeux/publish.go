package bayeux

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
)

// Publish lets clients say something in channels: it is handed to the app, and what
// the app makes of it comes back as everything else that is said there.
type Publish struct {
	// Channels are the names that clients publish to, as in `/rooms/{channel}`.
	Channels string `json:"channels"`
	// URI is the path on the app that what is said is posted to, as JSON and with
	// the client's credentials. Default: the name of the channel.
	URI string `json:"uri,omitempty"`
}

// forwarded is what may be published, and where it goes.
type forwarded struct {
	rooms   Rooms
	forward *forwardauth.Forward
}

// maxForwards bounds how many publishes of a site are with the app at a time.
const maxForwards = 32

var errPublishForm = errors.New("it needs the names that clients publish to and the word forward, as in: publish /rooms/{channel} forward /room/{channel}/speak.json")

// readPublish reads `publish <name> forward [<uri>]`.
func readPublish(args []string) (Publish, error) {
	if len(args) < 2 || len(args) > 3 || args[1] != "forward" {
		return Publish{}, errPublishForm
	}
	p := Publish{Channels: args[0]}
	if len(args) == 3 {
		p.URI = args[2]
	}
	_, err := p.read()
	return p, err
}

func (p *Publish) read() (forwarded, error) {
	rooms, err := ParseRooms(p.Channels)
	if err != nil {
		return forwarded{}, err
	}
	uri := p.URI
	if uri == "" {
		uri = p.Channels
	}
	forward, err := forwardauth.NewForward(uri)
	if err != nil {
		return forwarded{}, fmt.Errorf("publish: %w", err)
	}
	return forwarded{rooms, forward}, nil
}

// publish hands what a client says to the app, if it may be said at all. Sidestream
// makes no messages: nobody gets it before the app has accepted it.
func (x *exchange) publish(ctx context.Context, m *message) {
	data := m.Get("data")
	if data == nil {
		x.fail(m, errMissing("data"))
		return
	}
	client := x.client
	a := reply{channel: m.channel, id: m.id}
	if m.clientID != "" {
		s := x.session(ctx, m)
		if s == nil {
			return
		}
		s.note(m.id)
		client, a.client = s.who(), s.id
	}
	a.err = x.forward(ctx, m.channel, client, string(appendValue(nil, data)))
	x.replies.add(a)
}

func (x *exchange) forward(ctx context.Context, name string, client *forwardauth.Client, body string) *Error {
	auth := x.server.Auth
	for _, p := range x.publishing {
		target, known, _ := p.rooms.Resolve(name, false)
		if !known {
			continue
		}
		if client.Credential.IsZero() && !auth.Anonymous() && !auth.None() {
			return errForbidden(name)
		}
		select {
		case x.forwarding <- struct{}{}:
		case <-ctx.Done():
			return errPublish(name)
		}
		defer func() { <-x.forwarding }()
		status, err := auth.Forward(ctx, p.forward, x.server.Names.Canonical(target.Channel), client, "application/json", body)
		switch {
		case err == nil && status/100 == 2:
			return nil
		case err == nil && (status == 401 || status == 403 || status == 404):
			return errForbidden(name)
		}
		return errPublish(name)
	}
	return errForbidden(name)
}
