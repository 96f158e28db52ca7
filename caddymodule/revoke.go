package caddymodule

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream/access"
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
// and 202 with `{"questions_left":<n>}` if that takes longer than a second. Nodes
// that share the history are told, and ask as well; it is 503 if they cannot be.
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
	if err := endpoint.CheckPath("revoke", s.Revoke.Path); err != nil {
		return err
	}
	if len(s.Revoke.Secrets) == 0 {
		return fmt.Errorf("revoke %s: the secret is missing; write for example: secret {env.REVOKE_SECRET}", s.Revoke.Path)
	}
	secrets, err := resolveSecrets(repl, s.Revoke.Secrets)
	if err != nil {
		return fmt.Errorf("revoke %s: %w", s.Revoke.Path, err)
	}
	if s.Auth != nil && s.Auth.None {
		s.logger.Warn("revoke has nothing to do: with `auth none`, everybody may listen and nobody is asked")
	}
	s.revoker = forwardauth.NewRevoker(secrets, func(ctx context.Context, user, channel string) (int, error) {
		revocation, err := s.revoke(ctx, user, channel)
		left := revocation.Wait(ctx)
		if left > 0 {
			s.logger.Warn("a revocation is not done: the backend has not answered all questions yet; they are asked until it does",
				"questions", revocation.Questions(), "left", left)
		}
		return left, err
	})
	s.revoker.Roll = func(ctx context.Context, kind, id string) error {
		err := s.roll(ctx, kind, id)
		if err != nil {
			s.logger.Error("the signed name of an object was not made anew", "kind", kind, "error", err)
		}
		return err
	}
	return nil
}

// nodeID tells this process from the others that share a history.
var nodeID = rand.Text()

// revocationWord is what nodes that share a history tell each other when
// somebody's access may have changed.
type revocationWord struct {
	Node    string `json:"revoked_by"`
	User    string `json:"user,omitempty"`
	Channel string `json:"channel,omitempty"`
}

// revoke has the backend asked again about whoever may be the user, here and on
// all nodes that share the history. The error says that these were not told.
func (s *Sidestream) revoke(ctx context.Context, user, channel string) (*access.Revocation, error) {
	channel = s.names.Canonical(channel)
	revocation := s.gate.Revoke(user, channel)
	word, err := json.Marshal(revocationWord{nodeID, user, channel})
	if err == nil {
		err = s.hub.Word(ctx, string(word))
	}
	if err != nil {
		s.logger.Error("other nodes were not told of a revocation; they ask with the next regular re-check", "error", err)
	}
	return revocation, err
}

// hearRevocation has the gate act on what another node says.
func (p *pooledGate) hearRevocation(text string) {
	var word revocationWord
	if err := json.Unmarshal([]byte(text), &word); err == nil && word.Node != "" && word.Node != nodeID {
		p.Revoke(word.User, word.Channel)
	}
}
