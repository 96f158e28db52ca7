// Package chatbackend is the chat app of the demo: it stands for the app that a team
// has already. It knows nothing of streams.
// It has users with tokens, rooms with members, a REST API in the shape of
// classic Campfire (campfire-api, sections/), a web page, and a webhook that it
// posts for every message, signed as Standard Webhooks says.
//
// Everything is in memory and gone when the process ends.
package chatbackend

import (
	"log/slog"
	"net/http"
	"time"
)

// Config says where a Backend sends its webhooks. The zero value is a backend
// that sends none.
type Config struct {
	// Hook is the URL that every message is posted to. Empty: none.
	Hook string
	// Secret signs the webhooks: "whsec_" and 24 to 64 bytes in base64.
	// Required if Hook is set.
	Secret string
	// Log takes what went wrong with webhooks. Nil: slog's default.
	Log *slog.Logger
	// Now is the clock of messages and signatures. Nil: time.Now.
	Now func() time.Time
}

// Backend is the app. It is an http.Handler, safe for concurrent use.
type Backend struct {
	chat     *chat
	sessions *sessions
	outbox   *outbox
	handler  http.Handler
}

// New makes a backend with the users and rooms of the demo. Close it to end
// its webhook deliveries.
func New(c Config) (*Backend, error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	b := &Backend{chat: newChat(c.Now), sessions: newSessions()}
	if c.Hook != "" {
		key, err := parseSecret(c.Secret)
		if err != nil {
			return nil, err
		}
		b.outbox = newOutbox(c.Hook, key, c.Log, c.Now)
		b.chat.posted = func(m Message) { b.outbox.put(m.RoomID, m) }
	}
	b.handler = b.routes()
	return b, nil
}

// ServeHTTP answers the web page and the REST API.
func (b *Backend) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.handler.ServeHTTP(w, r) }

// Users lists who can sign in, with their tokens, by id.
func (b *Backend) Users() []User { return b.chat.allUsers() }

// Close ends the deliveries of webhooks, waiting ones included, and returns
// when they have ended. Requests must have ended before.
func (b *Backend) Close() {
	if b.outbox != nil {
		b.outbox.close()
	}
}
