package tap

import (
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Config is one `tap`: a rule, or all rules of a preset. It says which answers of the
// app bring messages. The zero value of every field is its default.
type Config struct {
	// The app whose answers are known: campfire (the app once-campfire),
	// campfire_classic (the old Campfire API), discourse, flowdock, kandan, letschat,
	// matrix, mattermost, rocketchat and zulip. Default: none, then this is one rule.
	Preset string `json:"preset,omitempty"`

	// Where the app of the preset has its paths, as in `/chat`. Default: at the root.
	Prefix string `json:"prefix,omitempty"`

	// How much is delivered: `thin` is the channel, the id and the operation alone,
	// so that clients fetch the message with their own rights. Default: `full`.
	Deliver string `json:"deliver,omitempty"`

	Rule
}

// Rule says which answers of the app it is for, and what they bring.
type Rule struct {
	// The method of the request: POST, PUT, PATCH or DELETE.
	Method string `json:"method,omitempty"`

	// The path of the request, as it is written in the request line. A segment may
	// have a variable in it, as in `/rooms/{room}/messages.json`, which the rules
	// read as `{path.room}`.
	Path string `json:"path,omitempty"`

	// The statuses of answers that mean that something happened: 200 or 201, or 204
	// in a rule of its own.
	Statuses []int `json:"statuses,omitempty"`

	// The condition under which the rule counts, such as `{res.success} == true`.
	// Several rules may be for the same answers; the first whose condition holds
	// counts. Default: always.
	When string `json:"when,omitempty"`

	// The channel in which something is new, as in `{path.room}`, where the answer
	// does not say enough: whoever reads the app is poked for it. Where somebody
	// does, the rule brings nothing else; otherwise what it maps counts.
	Poke string `json:"poke,omitempty"`

	// Which fields of a message are passed on where that is passed on whole: with
	// `map data`. What an author sees of a message may hold what nobody else may
	// see.
	Fields []string `json:"fields,omitempty"`

	// How answers are mapped: each, map, drop, channels, revoke. Values are named
	// `{res...}` (the answer's JSON), `{req...}` (the request's JSON or form),
	// `{path.NAME}`, `{header.NAME}` (of the answer) and `{auth.user}`.
	decode.Config
}

// Revocation is one `revoke tap`: answers of the app after which somebody may have
// lost access. It denies nothing by itself: the app is asked again.
type Revocation struct {
	// The method of the request: POST, PUT, PATCH or DELETE.
	Method string `json:"method"`
	// The path of the request, as in a tap.
	Path string `json:"path"`
	// The statuses of answers that mean that it happened. Redirects may be among
	// them.
	Statuses []int `json:"statuses"`
	// The user who may have lost access, as in `{path.user}`. Default: only the
	// client that asked.
	User string `json:"user,omitempty"`
	// The channel, as in `{path.room}`. Default: all channels.
	Channel string `json:"channel,omitempty"`
	// The condition under which it counts. Default: always.
	When string `json:"when,omitempty"`
}

// Values of Config.Deliver.
const (
	deliverFull = "full"
	deliverThin = "thin"
)
