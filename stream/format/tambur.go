package format

import (
	"strings"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Tambur is what clients of Tambur get: ["msg", stream, mode, data], one in each
// frame (tamburio/tambur.js, src/tambur.coffee). The data is text, also where that
// text is JSON: the clients' apps parse it. The mode is "auth" for what was said to
// those who proved themselves, and empty otherwise.
//
// Edits and deletions are left out, and there is no word for a gap: it ends the
// stream, and the client comes back by itself.
type Tambur struct {
	// Channels is how streams are mapped to channels, see TamburChannel.
	Channels string
}

// TamburChannel is the channel of an app's stream: the template with its {app} and
// {stream} replaced.
func TamburChannel(template, app, stream string) string {
	before, after, _ := strings.Cut(template, "{stream}")
	return strings.ReplaceAll(before, "{app}", app) + stream + strings.ReplaceAll(after, "{app}", app)
}

// stream is the name of the stream of a channel. The ids of apps have neither slash
// nor colon, one of which stands behind {app} in the template.
func (t Tambur) stream(channel string) string {
	before, after, _ := strings.Cut(t.Channels, "{stream}")
	if literal, rest, ok := strings.Cut(before, "{app}"); ok {
		channel = strings.TrimPrefix(channel, literal)
		if i := strings.IndexAny(channel, "/:"); i >= 0 {
			channel = channel[i:]
		}
		before = rest
	}
	return strings.TrimSuffix(strings.TrimPrefix(channel, before), after)
}

// Name is "tambur".
func (Tambur) Name() string { return "tambur" }

// ContentType is that of a message by itself: in a WebSocket there is none.
func (Tambur) ContentType() string { return "application/json" }

// Event appends the message.
func (t Tambur) Event(dst []byte, e *event.Entry, _ event.Cursor) []byte {
	text, ok := tamburText(e)
	if !ok {
		return dst
	}
	stream, mode := t.stream(e.Channel.Text), ""
	if _, m, name, ok := event.SplitMode(e.Channel.Text); ok {
		if stream = name; m == "auth" {
			mode = m
		} else {
			stream = m // whom it is for is no name that the client knows
		}
	}
	dst = append(dst, `["msg",`...)
	dst = appendText(dst, stream)
	dst = append(dst, ',')
	dst = appendText(dst, mode)
	dst = append(dst, ',')
	return append(appendText(dst, text), ']')
}

// tamburText is what an event says, false if that is nothing: the payload that the
// configuration chose, or else the text of the message.
func tamburText(e *event.Entry) (string, bool) {
	if !saysInCampfire(e) {
		return "", false
	}
	if passesRaw(e) {
		return string(e.Payload), true
	}
	return e.TextWithFiles(), hasBody(e)
}

// Gap appends nothing.
func (Tambur) Gap(dst []byte, _ event.Missing) []byte { return dst }

// Heartbeat appends nothing: WebSockets have pings.
func (Tambur) Heartbeat(dst []byte, _ event.Cursor) []byte { return dst }

// Farewell appends nothing: WebSockets have close frames.
func (Tambur) Farewell(dst []byte, _ Farewell) []byte { return dst }

// Resumable is false.
func (Tambur) Resumable() bool { return false }

// AppendTamburAck appends the answer to a command: its handle as it came, and "ok" or
// why not.
func AppendTamburAck(dst []byte, handle, result string) []byte {
	dst = append(append(append(dst, `["ack",`...), handle...), ',')
	return append(appendText(dst, result), ']')
}

// AppendTamburPair appends a message whose data is a pair: who came or went, or what
// somebody says to somebody.
func AppendTamburPair(dst []byte, stream, mode, first, second string) []byte {
	dst = appendText(append(dst, `["msg",`...), stream)
	dst = appendText(append(dst, ','), mode)
	dst = appendText(append(dst, `,[`...), first)
	return append(appendText(append(dst, ','), second), `]]`...)
}
