package decode

import (
	"fmt"
	"strings"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Patterns are the channels that something is for, such as those that a way in may
// publish to: * matches any text. None are all channels.
type Patterns []string

// ParsePatterns reads patterns.
func ParsePatterns(patterns []string) (Patterns, error) {
	var b Patterns
	for _, p := range patterns {
		if p == "" {
			return nil, fmt.Errorf("channels: a pattern is empty; write for example channels acme/*")
		}
		b = append(b, slashed(p))
	}
	return b, nil
}

// slashed writes Flowdock's old org:flow as org/flow, as the hub stores it.
func slashed(name string) string {
	org, flow, ok := strings.Cut(name, ":")
	if !ok || strings.HasPrefix(name, event.UserPrefix) || strings.Contains(org, "/") {
		return name
	}
	return org + "/" + flow
}

// Match tells whether a channel is one of them.
func (b Patterns) Match(channel string) bool {
	if len(b) == 0 {
		return true
	}
	for _, pattern := range b {
		if matchStars(pattern, slashed(channel)) {
			return true
		}
	}
	return false
}

// matchStars tells whether a name is like a pattern in which * is any text.
func matchStars(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return true
}

// Takes tells whether events may go to a channel, by the option `channels`.
func (d *Decoder) Takes(channel string) bool { return d.channels.Match(channel) }
