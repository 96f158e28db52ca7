package caddymodule

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/stream"
)

// Limits bound the streams that are open at one time. Zero: no bound.
type Limits struct {
	// Streams in all. Beyond, clients are told to come back.
	Streams int `json:"streams,omitempty"`
	// PerAddress bounds one IPv4 address or IPv6 /64. Mind that everybody in
	// an office, or behind an untrusted proxy, may have one address.
	PerAddress int `json:"per_address,omitempty"`
	// PerCredential bounds one user, where the app says whose a token is,
	// otherwise one token.
	PerCredential int `json:"per_credential,omitempty"`
	// PerChannel bounds the listeners of one channel.
	PerChannel int `json:"per_channel,omitempty"`
	// Channels bounds the channels of one stream. Default: 250.
	Channels int `json:"channels,omitempty"`
}

const defaultChannels = 250

func (l *Limits) provision() error {
	if l.Streams < 0 || l.PerAddress < 0 || l.PerCredential < 0 || l.PerChannel < 0 || l.Channels < 0 {
		return fmt.Errorf("limits must not be negative")
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
