package webhook

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Hook is a compiled Config: one address that a backend posts to. It is safe
// for concurrent use and holds nothing that must be closed.
type Hook struct {
	decoder      *decode.Decoder
	verifier     verifier
	scheme       string // the verifier's
	sender       decode.Sender
	method       string
	bodyTimeout  time.Duration
	gzip         bool
	reject       bool // on_unmapped reject
	ackBody      []byte
	ack          *Ack // nil: say where the event stands
	conflict     bool // answer 409 to a message that contradicts an earlier one
	allowBrowser bool
	neverRetries bool
	deliveryIDs  []string // headers that may hold the id of a delivery

	unverified *buffers
	now        func() time.Time
	last       *Last    // keeps what is refused; may be nil
	hidden     []string // secrets that are masked there
}

// New compiles a configuration. Secrets must have been filled in: this package knows
// no placeholders. New refuses what cannot work, and what would leave the webhook
// open without saying so. Errors say what would be right. None of them holds a
// secret.
func New(cfg Config) (*Hook, error) {
	sender, err := decode.SenderOf(cfg.Preset)
	if err != nil {
		return nil, err
	}
	h := &Hook{
		sender: sender, method: sender.Method, bodyTimeout: durationOr(cfg.BodyTimeout, DefaultBodyTimeout),
		gzip: cfg.Gzip, ack: (*Ack)(sender.Answer), conflict: sender.Conflict, allowBrowser: cfg.AllowBrowser, neverRetries: cfg.NeverRetries || sender.NeverRetries,
		unverified: unverified, hidden: cfg.Secrets, now: time.Now,
		deliveryIDs: slices.Concat(sender.Delivery, []string{"Webhook-Id", "Svix-Id", "Idempotency-Key"}),
	}
	if h.decoder, err = decode.NewDecoder(cfg.Config); err != nil {
		return nil, err
	}
	if h.verifier, err = newVerifier(&cfg, &sender, h.decoder); err != nil {
		return nil, err
	}
	switch {
	case cfg.Verify != nil:
		h.scheme = cfg.Verify.Scheme
	default:
		h.scheme = sender.Scheme
	}
	if h.method == "" {
		h.method = http.MethodPost
	}
	if h.bodyTimeout < 0 {
		return nil, fmt.Errorf("body_timeout is %s; it must be positive", h.bodyTimeout)
	}
	switch cfg.OnUnmapped {
	case "", onUnmappedAck:
	case onUnmappedReject:
		h.reject = true
	default:
		return nil, fmt.Errorf("on_unmapped is %q; it must be ack or reject", cfg.OnUnmapped)
	}
	if cfg.Ack != nil {
		if err := cfg.Ack.check(); err != nil {
			return nil, fmt.Errorf("ack: %w", err)
		}
		ack := *cfg.Ack
		h.ack, h.conflict = &ack, false
	}
	if h.ack != nil {
		h.ackBody = []byte(h.ack.Body)
	}
	return h, nil
}

// PathSecret is the name of the route parameter in which Serve looks for the
// secret; ok is false if the secret is not in the path. Where the configured
// address has no such parameter, the secret is to be one more segment at its
// end. The address must not be logged.
func (h *Hook) PathSecret() (parameter string, ok bool) {
	v, ok := h.verifier.(*pathVerifier)
	if !ok {
		return "", false
	}
	return v.parameter, true
}

// Places are where a request has secrets, apart from its body and its
// Authorization header. What stands there must not be logged.
type Places struct {
	Query   []string // parameters of the query
	Headers []string
	Path    []string // parameters of the route
}

// Secrets are the places of the hook's secrets.
func (h *Hook) Secrets() Places {
	switch v := h.verifier.(type) {
	case *pathVerifier:
		return Places{Path: []string{v.parameter}}
	case *bearerVerifier:
		if v.query != "" {
			return Places{Query: []string{v.query}}
		}
	case *tokenVerifier:
		return Places{Query: v.field.Names("query"), Headers: v.field.Names("header"), Path: v.field.Names("path")}
	}
	return Places{}
}

// Subtree tells whether everything below the hook's address belongs to it, as
// in the application service API of Matrix.
func (h *Hook) Subtree() bool { return h.sender.Protocol == decode.ApplicationService }

// NeverRetries tells whether the sender does not send again what it got no answer to.
func (h *Hook) NeverRetries() bool { return h.neverRetries }

// Decoder is the part of the hook that turns payloads into events.
func (h *Hook) Decoder() *decode.Decoder { return h.decoder }

// Decode reads and maps a delivery without verifying it.
func (h *Hook) Decode(in decode.Input) (decode.Decoded, error) { return h.decoder.Decode(in) }
