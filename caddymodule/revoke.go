package caddymodule

import (
	"context"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
)

// Revoke is where the app says that somebody's access has changed, so that
// streams end at once and not with the next regular check. What is posted
// there denies nothing by itself: it makes Sidestream ask the backend again.
//
// A request is a POST with `Authorization: Bearer <secret>` and JSON such as
// `{"user":"7","channel":"12"}`; without a user it is about everybody in the
// channel, without a channel about all channels of the user. Where the backend
// does not say whose a stream is, it may be the user's: it is asked about too.
//
// The answer is 204 when the backend has been asked about everybody concerned,
// and 202 with `{"questions_left":<n>}` if that takes longer than a second.
type Revoke struct {
	// Path of the endpoint.
	Path string `json:"path"`
	// Secrets that the app may use. Several are for rotation.
	Secrets []string `json:"secrets"`
}

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
		return fmt.Errorf("revoke %s: %w", s.Revoke.Path, err)
	}
	s.revoker = forwardauth.NewRevoker(secrets, func(ctx context.Context, user, channel string) int {
		revocation := s.gate.Revoke(user, s.names.Canonical(channel))
		left := revocation.Wait(ctx)
		if left > 0 {
			s.logger.Warn("a revocation is not done: the backend has not answered all questions yet; they are asked until it does",
				"questions", revocation.Questions(), "left", left)
		}
		return left
	})
	return nil
}

// checkPath refuses a path that no canonical request has.
func checkPath(directive, path string) error {
	if err := endpoint.CheckPrefix(directive, path); err != nil {
		return err
	}
	if path == "" || strings.HasSuffix(path, "/") {
		return fmt.Errorf("%s needs the path of its endpoint, as in /hooks/%s", directive, directive)
	}
	return nil
}
