package decode

// Config says how payloads are read and what becomes of them. The zero value of
// every field is its default. A preset fills in everything that is not set here.
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

	// How payloads are written: `json`, `form`, `cloudevents`, `msgpack` or
	// `text`. Default: what the Content-Type of each delivery says, and the
	// preset's usual format if it says nothing.
	Format Format `json:"format,omitempty"`

	// The size of the largest body that is read, in bytes. Default: 1 MiB, and
	// 10 MiB for the preset `matrix`.
	MaxBody int64 `json:"max_body,omitempty"`

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
	// on top of the preset's; the word `none` among them takes those away.
	Drop []string `json:"drop,omitempty"`

	// For the preset `socketio`: the names of the events that are messages.
	// Default: `message`.
	Events []string `json:"events,omitempty"`

	// The channels that messages may go to, as patterns in which `*` is any
	// text: `acme/*`, and `user:*` for private messages. Others are unmapped.
	// It keeps one way in out of the channels of another, where a message could
	// take the id of the other one's before that arrives. Default: all.
	Channels []string `json:"channels,omitempty"`

	// When a delivery tells that somebody has lost access. This only makes
	// Sidestream ask the backend again, it denies nothing by itself.
	Revoke []RevokeRule `json:"revoke,omitempty"`

	// When a delivery tells that something is new in a channel, and does not say
	// what: a `pull` then reads the channel. Without a rule for `channel`, that is
	// all that becomes of a delivery.
	Poke []PokeRule `json:"poke,omitempty"`
}

// PokeRule says which channel a pull shall read.
type PokeRule struct {
	// The channel, as in `{item.room.id}`.
	Channel string `json:"channel"`
	// The condition under which the rule counts. Default: always.
	When string `json:"when,omitempty"`
}

// MapRule says what a field of the event is.
type MapRule struct {
	// The field:
	//
	// - `channel`: where the message goes; an array sends it to several. At
	//   most 256 bytes, and not beginning with `user:`. Required, unless `to`
	//   says where it goes.
	// - `also`: a further channel. Of its rules, each counts whose condition holds.
	// - `to`: the user, or an array of users, that a private message is for.
	// - `id`: the backend's id of the message. A message with the same
	//   channel, id, op and version is stored once. Without an id of its own,
	//   the id of the delivery (`Webhook-Id`, `Idempotency-Key`) stands in.
	// - `version`: what tells several edits of one message apart. With a rule
	//   for `op`, a new message has none.
	// - `op`: `create`, `edit` or `delete`. Default: `create`.
	// - `user`, `user_name`: the id and the name of the author.
	// - `thread`: the id of the message that this one answers.
	// - `time`: when it was written: seconds, milliseconds, microseconds or
	//   nanoseconds since 1970, or a written date. Default: now.
	// - `type`: the kind of message in Campfire's words. Default:
	//   `TextMessage`, or `PasteMessage` if the text has line breaks.
	// - `body`: the text.
	// - `files`: what is attached: addresses or ids as text, or objects that have
	//   a name, an address, a type and a size in the words that apps use.
	// - `data`: a JSON object of the payload that clients get as it is, in
	//   place of a message made from the other fields. Everything in it is
	//   shown to clients: make sure that it holds no secret.
	Field string `json:"field"`
	// Text with holes, such as `{item.room.id ?? item.room_id}`. A hole names
	// a source (`json`, `item`, `form`, `query`, `header`, `path`, `body`,
	// `match`, `redis`) and a place in it; alternatives follow behind `??`,
	// filters behind `|`: `json`, `json:PATH`, `base64url`, `last:TEXT`,
	// `re:PATTERN`, `split:TEXT`, `html_text`, `lower`, `trim`, `number`, `prefix:TEXT`,
	// `object:KIND`, which begins the name of a channel of an object.
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

// Defaults of a Config.
const (
	DefaultMaxBody  = 1 << 20
	DefaultMaxBatch = 1000
)
