package webhook

import (
	"encoding/json"
	"fmt"
	"time"
)

// Config says who may post to a webhook, how its payload is read, and what
// becomes of it. The zero value of every field is its default. A preset fills
// in everything that is not set here.
type Config struct {
	// The app that sends, or the standard that it follows. Known are
	// anycable, actioncable, campfire (the app once-campfire),
	// campfire_classic (payloads that already are messages of the old Campfire
	// API), cloudevents, discourse, flowdock (payloads that already are
	// Flowdock messages), github, laravel, matrix (an application service),
	// mattermost, rocketchat, slack (outgoing webhooks), slack_events,
	// socketio, standardwebhooks (also svix), stripe and zulip. Default: none,
	// then `verify` and `map` say everything.
	Preset string `json:"preset,omitempty"`

	// The secrets that the sender may use. Several are for rotation: any of
	// them is good. What a secret is depends on how deliveries are verified: a
	// key, a token, or a segment of the path. At least one is required, unless
	// `verify` is `none`.
	Secrets []string `json:"secrets,omitempty"`

	// How a delivery proves where it comes from. Default: the preset's way;
	// required without a preset.
	Verify *Verify `json:"verify,omitempty"`

	// How payloads are written: `json`, `form`, `cloudevents`, `msgpack` or
	// `text`. Default: what the Content-Type of each delivery says, and the
	// preset's usual format if it says nothing.
	Format Format `json:"format,omitempty"`

	// The size of the largest body that is read, in bytes. Default: 1 MiB, and
	// 10 MiB for the preset `matrix`.
	MaxBody int64 `json:"max_body,omitempty"`

	// How long the body of a delivery may take to arrive. Default: 10s.
	BodyTimeout Duration `json:"body_timeout,omitempty"`

	// Whether bodies with `Content-Encoding: gzip` are taken. Max_body then
	// bounds the size after unpacking, and a body that grows more than a
	// hundredfold is refused. Signatures are checked over the unpacked body.
	// Default: no, such deliveries get 415.
	Gzip bool `json:"gzip,omitempty"`

	// The array whose elements are one message each, as in `{json.events}`;
	// `{item...}` is then the element. A single object in its place is taken
	// as one element. Default: the whole payload is one message.
	Each string `json:"each,omitempty"`

	// How many elements `each` may have. A delivery with more gets 413.
	// Default: 1000.
	MaxBatch int `json:"max_batch,omitempty"`

	// What the fields of the events are. Rules of one field are tried in
	// order; the first whose condition holds and that has a value counts. The
	// rules here take the place of all of the preset's rules for that field.
	Map []MapRule `json:"map,omitempty"`

	// Conditions under which a message is acknowledged and thrown away, such
	// as `{item.kind} in typing presence`. One that holds is enough. They come
	// on top of the preset's.
	Drop []string `json:"drop,omitempty"`

	// When a delivery tells that somebody has lost access. This only makes
	// Sidestream ask the backend again, it denies nothing by itself.
	Revoke []RevokeRule `json:"revoke,omitempty"`

	// What becomes of a verified message that cannot be mapped, because it
	// names no channel for example: `ack` counts it and answers as if all was
	// well, since many apps post a failure into the chat room; `reject`
	// refuses the whole delivery with 422. Default: `ack`.
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
	Tolerance Duration `json:"tolerance,omitempty"`

	// Whether deliveries that a browser sends on behalf of a web page (those
	// with an Origin or Sec-Fetch-Site header) are taken. Default: no, they
	// get 403.
	AllowBrowser bool `json:"allow_browser,omitempty"`
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

	// For `hmac`: the hash: `sha256`, `sha512`, `sha384` or `sha1`. Default:
	// `sha256`.
	Algorithm string `json:"algorithm,omitempty"`

	// For `hmac`: what is signed, with holes for `{body}`, `{header.NAME}`,
	// `{query.NAME}` and `{path.NAME}`. Default: `{body}`.
	Signed string `json:"signed,omitempty"`

	// For `hmac`: where the time of the delivery stands, in seconds since
	// 1970, as in `{header.X-Timestamp}`. It should be part of what is signed.
	// Default: none, then old deliveries can be sent again by whoever recorded
	// them.
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

// MapRule says what a field of the event is.
type MapRule struct {
	// The field:
	//
	// - `channel`: where the message goes; an array sends it to several. At
	//   most 256 bytes, and not beginning with `user:`. Required, unless `to`
	//   says where it goes.
	// - `to`: the user, or an array of users, that a private message is for.
	// - `id`: the backend's id of the message. A message with the same
	//   channel, id, op and version is stored once. Without an id of its own,
	//   the id of the delivery (`Webhook-Id`, `Idempotency-Key`) stands in.
	// - `version`: what tells several edits of one message apart.
	// - `op`: `create`, `edit` or `delete`. Default: `create`.
	// - `user`, `user_name`: the id and the name of the author.
	// - `thread`: the id of the message that this one answers.
	// - `time`: when it was written: seconds, milliseconds, microseconds or
	//   nanoseconds since 1970, or a written date. Default: now.
	// - `type`: the kind of message in Campfire's words. Default:
	//   `TextMessage`, or `PasteMessage` if the text has line breaks.
	// - `body`: the text.
	// - `data`: a JSON object of the payload that clients get as it is, in
	//   place of a message made from the other fields. Everything in it is
	//   shown to clients: make sure that it holds no secret.
	Field string `json:"field"`
	// Text with holes, such as `{item.room.id ?? item.room_id}`. A hole names
	// a source (`json`, `item`, `form`, `query`, `header`, `path`, `body`,
	// `match`, `redis`) and a place in it; alternatives follow behind `??`,
	// filters behind `|`: `json`, `json:PATH`, `base64url`, `last:TEXT`,
	// `re:PATTERN`, `split:TEXT`, `html_text`, `lower`, `trim`, `prefix:TEXT`.
	// For `id` and `version` it may be the word `hash`: a digest of the
	// message.
	Value string `json:"value"`
	// The condition under which the rule counts, such as
	// `{header.X-Event} == message_deleted`, `{json.kind} in a b`,
	// `{json.text} matches ^/` or `{json.thread} not exists`; several are
	// joined by `and`. Default: always.
	When string `json:"when,omitempty"`
}

// RevokeRule says whose access may have ended.
type RevokeRule struct {
	// The user, as in `{item.user.id}`.
	User string `json:"user"`
	// The channel, as in `{item.room.id}`. Default: all channels of the user.
	Channel string `json:"channel,omitempty"`
	// The condition under which the rule counts. Default: always.
	When string `json:"when,omitempty"`
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
	DefaultMaxBody     = 1 << 20
	DefaultMaxBatch    = 1000
	DefaultBodyTimeout = 10 * time.Second
	DefaultTolerance   = 5 * time.Minute
)

// Duration is a time span: in JSON a text such as "5m" or "1d", or a number of
// nanoseconds.
type Duration time.Duration

// UnmarshalJSON reads either form.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		parsed, err := parseDuration(s)
		*d = Duration(parsed)
		return err
	}
	var n int64
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("a duration is a text such as \"5m\": %w", err)
	}
	*d = Duration(n)
	return nil
}

// MarshalJSON writes the text form.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }
