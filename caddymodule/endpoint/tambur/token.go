package tambur

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// rules are what the configuration says of all apps.
type rules struct {
	template string
	open     []string
	clock    time.Duration // 0: any
	colons   bool
}

// application is an app as a configuration has it. It does not change.
type application struct {
	id, key string
	secrets []string
	*rules
}

// The modes of a stream that a client can turn on.
const (
	modeAuth     = "auth"
	modePresence = "presence"
	modeDirect   = "direct"
	modePrivate  = "private" // of every connection, without a token
)

// holds tells whether a token is that of a mode for a subscriber. The property is the
// stream, or with the user behind it, and a colon between them (all public clients
// have it: generate_mode_token).
func (a *application) holds(token, mode, property, subscriber string) bool {
	if len(token) != 2*sha1.Size {
		return false
	}
	return slices.ContainsFunc(a.secrets, func(secret string) bool {
		want := a.token(secret, mode, property, subscriber)
		return subtle.ConstantTimeCompare([]byte(want), []byte(token)) == 1
	})
}

// token is what the app gives to a subscriber for a mode.
func (a *application) token(secret, mode, property, subscriber string) string {
	h := hmac.New(sha1.New, []byte(secret))
	for i, part := range []string{a.key, a.id, mode, property, subscriber} {
		if i > 0 {
			h.Write([]byte{':'})
		}
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// takesUser tells whether a user may have this id.
func (a *application) takesUser(user string) bool {
	return event.CheckUser(user) == nil && (a.colons || !strings.Contains(user, ":"))
}

// channel is the channel of a stream; false if there can be none.
func (a *application) channel(stream string) (string, bool) {
	if stream == "" {
		return "", false
	}
	name := format.TamburChannel(a.template, a.id, stream)
	return name, event.ValidChannel(name)
}

// isOpen tells whether everybody may subscribe to a stream who knows the key.
func (a *application) isOpen(stream string) bool {
	return slices.ContainsFunc(a.open, func(pattern string) bool {
		ok, _ := path.Match(pattern, stream)
		return ok || pattern == "*"
	})
}
