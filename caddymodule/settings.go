package caddymodule

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/stream"
)

// Campfire says where the Campfire streams are: GET /room/{channel}/live.json
// and live.xml, with messages that end in CR and a space as heartbeat.
type Campfire struct {
	// Prefix stands before the paths, as in `/stream`. Default: none.
	Prefix string `json:"prefix,omitempty"`
}

// Flowdock says where the Flowdock streams are: GET /flows?filter= and
// /flows/{org}/{flow}, as JSON or as server-sent events.
type Flowdock struct {
	// Prefix stands before the paths, as in `/stream`. Default: none; then
	// Flowdock's REST API may live on the same paths.
	Prefix string `json:"prefix,omitempty"`
	// OpaqueIDs takes `org:flow` in a filter as a name of its own. Without it,
	// it is the old way to write `org/flow`.
	OpaqueIDs bool `json:"opaque_ids,omitempty"`
}

// Limits bound the streams that are open at one time. Zero: no bound.
type Limits struct {
	// Streams in all. Beyond, clients are told to come back.
	Streams int `json:"streams,omitempty"`
	// PerAddress bounds one IPv4 address or IPv6 /64. Mind that everybody in
	// an office, or behind an untrusted proxy, may have one address.
	PerAddress int `json:"per_address,omitempty"`
	// PerCredential bounds one token.
	PerCredential int `json:"per_credential,omitempty"`
	// PerChannel bounds the listeners of one channel.
	PerChannel int `json:"per_channel,omitempty"`
	// Channels bounds the channels of one stream. Default: 250.
	Channels int `json:"channels,omitempty"`
}

const defaultChannels = 250

func (l *Limits) provision() error {
	if l.Streams < 0 || l.PerAddress < 0 || l.PerCredential < 0 || l.PerChannel < 0 || l.Channels < 0 {
		return fmt.Errorf("limits: none is negative")
	}
	if l.Channels == 0 {
		l.Channels = defaultChannels
	}
	return nil
}

func (l *Limits) forHub() stream.Limits {
	return stream.Limits{
		Streams: l.Streams, PerAddress: l.PerAddress, PerCredential: l.PerCredential,
		PerChannel: l.PerChannel,
		// a user's private channel comes on top of what was asked for
		ChannelsPerStream: l.Channels + 1,
	}
}

// Lag bounds how far a slow client may stay behind before its stream is
// closed. It can resume.
type Lag struct {
	// Bytes that it has not taken. Default: 512 KiB.
	Bytes int64 `json:"bytes,omitempty"`
	// Time without taking any. Default: `15s`.
	Time caddy.Duration `json:"time,omitempty"`
}

// defaultHeartbeats are short enough for every client known: Campfire's gave
// up after 5 s, and the clock of EventMachine needs more than two beats in
// that time.
var defaultHeartbeats = map[string]time.Duration{
	"campfire": 2 * time.Second,
	"flowdock": 15 * time.Second,
}

// heartbeatNames lists the endpoints that a heartbeat can be set for.
var heartbeatNames = []string{"campfire", "flowdock"}

// checkPrefix refuses a prefix that no canonical path begins with.
func checkPrefix(directive, prefix string) error {
	if prefix == "" {
		return nil
	}
	segments, ok := splitPath(prefix)
	if !strings.HasPrefix(prefix, "/") || !ok || strings.HasPrefix(prefix, "//") || len(segments) == 0 || strings.Contains(prefix, "%") {
		return fmt.Errorf("%s: %q is no prefix of a path; write for example /stream", directive, prefix)
	}
	return nil
}
