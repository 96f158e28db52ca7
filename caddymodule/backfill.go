package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/caddymodule/suggest"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/pull"
)

// Backfill says how a client that comes back from before what the history keeps gets
// what is missing: from the app's own list, with the client's own credential, and to
// itself alone.
type Backfill struct {
	pull.Config

	lister *pull.Lister
}

// backfillOptions are the options of a pull that mean something here.
var backfillOptions = []string{
	"cursor", "drop", "each", "expect", "last_id", "map", "max_batch", "max_body", "next", "pages", "preset", "timeout",
}

// backfillsAtOnce is how many clients are given something at the same time.
const backfillsAtOnce = 8

// backfillWait is how long one waits for its turn; then it is told of a gap.
const backfillWait = 5 * time.Second

var errBusy = errors.New("too many clients wait for what is missing")

func (s *Sidestream) provisionBackfill() error {
	if s.Backfill == nil {
		return nil
	}
	if s.Auth.None {
		return errors.New("backfill: with `auth none` there is no credential to ask the app with")
	}
	var err error
	if s.Backfill.lister, err = pull.NewLister(s.Backfill.Config); err != nil {
		return fmt.Errorf("backfill: %w", err)
	}
	auth, lister, turns := s.auth, s.Backfill.lister, make(chan struct{}, backfillsAtOnce)
	s.server.Backfill = func(ctx context.Context, c *forwardauth.Client, channel, id string) ([]event.Event, bool, error) {
		patience := time.NewTimer(backfillWait)
		defer patience.Stop()
		select {
		case turns <- struct{}{}:
		case <-patience.C:
			return nil, false, errBusy
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
		defer func() { <-turns }()
		ask := func(ctx context.Context, uri func(token string) (string, error), limit int) (*pull.Answer, error) {
			status, header, body, err := auth.Get(ctx, c, channel, uri, limit)
			if err != nil {
				return nil, err
			}
			return &pull.Answer{Status: status, Header: header, Body: body}, nil
		}
		return lister.Behind(ctx, ask, channel, id)
	}
	return nil
}

// backfill reads how clients get what the history no longer has. Syntax:
//
//	backfill GET <uri> { ... }
//	backfill preset <name> { ... }
func (p *parser) backfill() error {
	args := p.RemainingArgs()
	if len(args) != 2 || args[0] != http.MethodGet && args[0] != "preset" {
		return p.Errf("backfill needs a path or a preset, as in: backfill GET /room/{channel}/recent.json?since_message_id={last.id}, or: backfill preset mattermost")
	}
	b := new(Backfill)
	if args[0] == "preset" {
		if err := b.Option("preset", args[1:]); err != nil {
			return p.Errf("backfill: %v", err)
		}
	} else {
		b.URI = args[1]
	}
	err := p.mapped(func(name string, args []string) error {
		if !slices.Contains(backfillOptions, name) {
			return fmt.Errorf("unknown option %q%s; the options are %s", name, suggest.Among(name, backfillOptions), strings.Join(backfillOptions, ", "))
		}
		return b.Option(name, args)
	})
	if err == nil {
		_, err = pull.NewLister(b.Config)
	}
	if err != nil {
		return p.Errf("backfill: %v", err)
	}
	p.s.Backfill = b
	return nil
}
