package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/caddymodule/suggest"
	"github.com/seed-078801ba/sidestream/stream/format"
	"github.com/seed-078801ba/sidestream/stream/presence"
	"github.com/seed-078801ba/sidestream/webhook"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// presenceKinds are what the app can be told.
var presenceKinds = []string{"joined", "left", "state", "count", "snapshot", "reset"}

// tellNames are what the body of a delivery may name.
var tellNames = &decode.Vocabulary{
	Documents: []string{"data"}, Variables: []string{"kind", "channel", "org", "flow", "user", "state", "time"},
}

const (
	defaultTellBody    = `{"type":"presence.{kind}","timestamp":"{time}","data":{data}}`
	defaultTellTimeout = 5 * time.Second
)

// appTeller brings to the app what it is told of presence.
type appTeller struct {
	backend *forwardauth.Backend
	signer  *webhook.StandardSigner
	uri     string
	kinds   []string
	body    *decode.JSONTemplate
	timeout time.Duration
	logger  *slog.Logger
	failed  occasional // lines of the log
}

// provision checks the settings and makes them ready.
func (c *PresenceTell) provision(repl *caddy.Replacer, backend *forwardauth.Backend) (*appTeller, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	secrets, err := resolveSecrets(repl, c.Secrets)
	if err != nil {
		return nil, err
	}
	signer, err := webhook.NewStandardSigner(secrets)
	if err != nil {
		return nil, err
	}
	text := c.Body
	orDefault(&text, defaultTellBody)
	body, err := tellNames.JSONTemplate(text)
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	t := &appTeller{backend: backend, signer: signer, uri: c.URI, kinds: c.Kinds, body: body, timeout: time.Duration(c.Timeout)}
	orDefault(&t.timeout, defaultTellTimeout)
	return t, nil
}

func (c *PresenceTell) check() error {
	u, err := url.ParseRequestURI(c.URI)
	switch {
	case err != nil || !strings.HasPrefix(c.URI, "/") || strings.HasPrefix(c.URI, "//") || u.Host != "":
		return fmt.Errorf("%q is no path on the backend; write for example: tell POST /hooks/presence", c.URI)
	case len(c.Secrets) == 0:
		return errors.New("the secret is missing, by which the app knows who tells it; write for example: secret {env.PRESENCE_SECRET}")
	case c.Timeout < 0:
		return errors.New("timeout must not be negative")
	}
	for _, kind := range c.Kinds {
		if !slices.Contains(presenceKinds, kind) {
			return fmt.Errorf("unknown kind %q%s", kind, suggest.Among(kind, presenceKinds))
		}
	}
	return nil
}

// send brings one notice to the app. It is a presence.Send.
func (t *appTeller) send(ctx context.Context, n *presence.Notice) error {
	kind := n.Kind.String()
	if len(t.kinds) > 0 && !slices.Contains(t.kinds, kind) {
		return nil
	}
	body, err := t.write(n)
	if err != nil {
		return t.note(err)
	}
	header := http.Header{}
	t.signer.Sign(header, n.ID, time.Now(), body)
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	status, err := t.backend.Deliver(ctx, t.uri, header, body)
	if err == nil && (status < 200 || status > 299) {
		err = fmt.Errorf("the backend answered %d", status)
	}
	return t.note(err)
}

// note logs a failure, one line a minute.
func (t *appTeller) note(err error) error {
	if err != nil && !errors.Is(err, context.Canceled) {
		if times, ok := t.failed.turn(time.Minute); ok {
			t.logger.Warn("the app could not be told who is there; it is told again until it takes it", "path", t.uri, "error", err, "times", times)
		}
	}
	return err
}

// write makes the body of a delivery.
func (t *appTeller) write(n *presence.Notice) ([]byte, error) {
	document, err := fastjson.ParseBytes(noticeData(n))
	if err != nil {
		return nil, fmt.Errorf("writing what the app is told: %w", err)
	}
	return t.body.Fill(&noticeSource{n, document})
}

// noticeData is all that is told, as JSON.
func noticeData(n *presence.Notice) []byte {
	if n.Kind != presence.Reset {
		p := endpoint.PresenceOf(&n.Change)
		return format.AppendPresence(nil, &p)
	}
	data := append([]byte(nil), `{"kind":"reset","channels":[`...)
	for i, channel := range n.Channels {
		if i > 0 {
			data = append(data, ',')
		}
		data = decode.AppendJSONString(data, channel)
	}
	return append(data, "]}"...)
}

// noticeSource is a decode.Source of what is told.
type noticeSource struct {
	*presence.Notice
	data *fastjson.Value
}

// JSON implements decode.Source.
func (s *noticeSource) JSON(_ string, path decode.Path) (decode.Value, error) {
	return path.Find(s.data)
}

// Text implements decode.Source.
func (s *noticeSource) Text(group, name string) (text string, ok bool, err error) {
	switch name {
	case "kind":
		return s.Kind.String(), true, nil
	case "time":
		return s.At.UTC().Format("2006-01-02T15:04:05.000Z"), true, nil
	case "state":
		return s.State.String(), s.User != "", nil
	case "channel":
		return s.Channel, s.Channel != "", nil
	}
	return placeOfUser{s.Channel, s.User}.Text(group, name)
}
