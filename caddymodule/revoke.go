package caddymodule

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/valyala/fastjson"
)

// Revoke is where the app says that somebody's access has changed, so that
// streams end at once and not with the next regular check. What is posted
// there denies nothing by itself: it makes Sidestream ask the backend again.
//
// A request is a POST with `Authorization: Bearer <secret>` and JSON such as
// `{"user":"7","channel":"12"}`; without a user it is about everybody in the
// channel, without a channel about all channels of the user.
type Revoke struct {
	// Path of the endpoint.
	Path string `json:"path"`
	// Secrets that the app may use. Several are for rotation.
	Secrets []string `json:"secrets"`

	digests [][sha256.Size]byte
}

const (
	maxRevokeBody     = 64 << 10
	revokeBodyTimeout = 10 * time.Second
)

func (s *Sidestream) provisionRevoke(repl *caddy.Replacer) error {
	if s.Revoke == nil {
		return nil
	}
	if err := checkPath("revoke", s.Revoke.Path); err != nil {
		return err
	}
	if len(s.Revoke.Secrets) == 0 {
		return fmt.Errorf("revoke %s: the secret is missing; write for example: secret {env.REVOKE_SECRET}", s.Revoke.Path)
	}
	secrets, err := resolveSecrets(repl, s.Revoke.Secrets)
	if err != nil {
		return fmt.Errorf("revoke %s: secret: %w", s.Revoke.Path, err)
	}
	s.Revoke.digests = nil
	for _, secret := range secrets {
		s.Revoke.digests = append(s.Revoke.digests, sha256.Sum256([]byte(secret)))
	}
	return nil
}

// checkPath refuses a path that no canonical request has.
func checkPath(directive, path string) error {
	if err := checkPrefix(directive, path); err != nil {
		return err
	}
	if path == "" || strings.HasSuffix(path, "/") {
		return fmt.Errorf("%s needs the path of its endpoint, as in /hooks/%s", directive, directive)
	}
	return nil
}

// knows compares a secret with all that are configured, in a time that says
// nothing of them.
func (rv *Revoke) knows(secret string) bool {
	digest, found := sha256.Sum256([]byte(secret)), 0
	for _, known := range rv.digests {
		found |= subtle.ConstantTimeCompare(digest[:], known[:])
	}
	return found == 1
}

// serveRevoke answers without a body, as webhooks do.
func (s *Sidestream) serveRevoke(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || len(r.Header["Authorization"]) > 1 || !s.Revoke.knows(strings.TrimSpace(secret)) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(revokeBodyTimeout)) // best effort
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRevokeBody))
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	user, channel, ok := readRevocation(body)
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.gate.Revoke(user, channel)
	w.WriteHeader(http.StatusNoContent)
}

// readRevocation reads whose access has changed. It must name somebody or
// something.
func readRevocation(body []byte) (user, channel string, ok bool) {
	v, err := fastjson.ParseBytes(body)
	if err != nil || v.Type() != fastjson.TypeObject {
		return "", "", false
	}
	read := func(name string) (string, bool) {
		field := v.Get(name)
		if field == nil || field.Type() == fastjson.TypeNull {
			return "", true
		}
		text, ok := scalarText(field)
		return text, ok && len(text) <= maxName
	}
	user, userOK := read("user")
	channel, channelOK := read("channel")
	return user, channel, userOK && channelOK && (user != "" || channel != "")
}
