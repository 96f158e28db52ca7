package webhook

import (
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Config says who may post to a webhook, how its payload is read, and what
// becomes of it. The zero value of every field is its default. A preset fills
// in everything that is not set here.
type Config struct {
	decode.Config

	// The secrets that the sender may use. Several are for rotation: any of
	// them is good. What a secret is depends on how deliveries are verified: a
	// key, a token, or a segment of the path. At least one is required, unless
	// `verify` is `none`.
	Secrets []string `json:"secrets,omitempty"`

	// How a delivery proves where it comes from. Default: the preset's way;
	// required without a preset.
	Verify *Verify `json:"verify,omitempty"`

	// How long the body of a delivery may take to arrive. Default: 10s.
	BodyTimeout decode.Duration `json:"body_timeout,omitempty"`

	// Whether bodies with `Content-Encoding: gzip` are taken. Max_body then
	// bounds the size after unpacking, and a body that grows more than a
	// hundredfold is refused. Signatures are checked over the unpacked body.
	// Default: no, such deliveries get 415.
	Gzip bool `json:"gzip,omitempty"`

	// What becomes of a verified message that cannot be mapped, for example
	// because it names no channel. `ack` counts it and acknowledges it, because
	// many apps post a failure into the chat room. `reject` refuses the whole
	// delivery with 422. Default: `ack`.
	OnUnmapped string `json:"on_unmapped,omitempty"`

	// What a delivery that was taken is answered, instead of what the preset
	// says. Then a message that contradicts an earlier one with the same id is
	// answered so too. Default without a preset: 200, or 202 if the store does
	// not survive a crash, and JSON that says where the event stands:
	// `{"position":"...","duplicate":false}`. A batch gets
	// `{"events":[{"position":...},...]}`.
	Ack *Ack `json:"ack,omitempty"`

	// How far the time in a signed delivery may be from now, either way.
	// Default: 5m.
	Tolerance decode.Duration `json:"tolerance,omitempty"`

	// Whether deliveries that a browser sends on behalf of a web page (those
	// with an Origin or Sec-Fetch-Site header) are taken. Default: no, they
	// get 403.
	AllowBrowser bool `json:"allow_browser,omitempty"`

	// Whether the app sends a delivery once, whatever becomes of it. Then each
	// answer over HTTP/1.1 ends its connection: a connection that waits for the
	// next delivery may be closed by a reload just as that is sent. Default: as
	// the preset knows the app.
	NeverRetries bool `json:"never_retries,omitempty"`
}

// Verify is how a delivery proves where it comes from.
type Verify struct {
	// The scheme: `standardwebhooks`, `slack`, `github`, `stripe`,
	// `discourse`, `hmac`, `token` (in the payload), `bearer` (in the
	// Authorization header), `path` (a segment of the path) or `none`.
	Scheme string `json:"scheme"`

	// For `hmac`: the header that holds the signature. Required.
	Header string `json:"header,omitempty"`

	// For `hmac`: what stands before the signature in the header, as in
	// `sha256=`. Default: nothing.
	Prefix string `json:"prefix,omitempty"`

	// For `hmac`: how the signature is written: `hex`, `base64` or
	// `base64url`. Default: `hex`.
	Encoding string `json:"encoding,omitempty"`

	// For `hmac`: how the secrets are written: `text` for the key itself, or
	// `hex`, `base64` or `base64url`. Default: `text`.
	Key string `json:"key,omitempty"`

	// For `hmac`: the hash: `sha256`, `sha512`, `sha384` or `sha1`. Default:
	// `sha256`.
	Algorithm string `json:"algorithm,omitempty"`

	// For `hmac`: what is signed, with holes for `{body}`, `{header.NAME}`,
	// `{query.NAME}` and `{path.NAME}`. Default: `{body}`.
	Signed string `json:"signed,omitempty"`

	// For `hmac`: where the time of the delivery stands, in seconds since
	// 1970, as in `{header.X-Timestamp}`. It should be part of what is signed.
	// Default: none. Then whoever has recorded a delivery can send it again.
	Timestamp string `json:"timestamp,omitempty"`

	// For `token`: where it stands in the payload. Default:
	// `{json.token ?? form.token}`.
	Field string `json:"field,omitempty"`

	// For `bearer`: the query parameter that may hold the token when there is
	// no Authorization header, as in `access_token`. Default: none, but
	// `access_token` for the presets `matrix` and `cloudevents`, whose
	// standards allow it.
	Query string `json:"query,omitempty"`

	// For `path`: the route parameter that holds the secret. Default:
	// `secret`.
	Parameter string `json:"parameter,omitempty"`
}

// Ack is what a delivery that was taken is answered.
type Ack struct {
	// The status, from 200 to 299.
	Status int `json:"status"`
	// The Content-Type. Default: none.
	ContentType string `json:"content_type,omitempty"`
	// The body. Default: none.
	Body string `json:"body,omitempty"`
}

// The ways to treat what cannot be mapped.
const (
	onUnmappedAck    = "ack"
	onUnmappedReject = "reject"
)

// Defaults of a Config.
const (
	DefaultBodyTimeout = 10 * time.Second
	DefaultTolerance   = 5 * time.Minute
)
