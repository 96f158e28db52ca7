package format

import (
	"strconv"
	"time"
)

// Presence is what a client is told of who is in a channel. It is no event: it has no
// position, and nothing of it is stored.
type Presence struct {
	// Kind is joined, left, state, count or snapshot.
	Kind    string
	Channel string
	// User, State, Streams, Since and Changed are of who has joined, left or changed. Of a count or a
	// snapshot, they are empty.
	User, State    string
	Streams        int
	Since, Changed time.Time
	// Count is how many are in the channel.
	Count int
	// Users are those of a snapshot.
	Users []Presence
}

// PresenceTeller is a Format that can tell who is there.
type PresenceTeller interface {
	Format
	// Presence makes the messages that tell it.
	Presence(p *Presence) [][]byte
	// Activity makes the message that tells that a user of a channel is there still.
	Activity(p *Presence, now time.Time) []byte
}

var (
	_ PresenceTeller = FlowdockJSON{}
	_ PresenceTeller = SSE{}
)

// flowdockStates are the states as numbers, as the service had them: its own IRC
// gateway asked for them with presence=1.
var flowdockStates = map[string]int{"offline": 0, "idle": 1_000_000, "active": 2_000_000}

// Presence tells each user in an event "presence", those of a snapshot one by one. Of
// many users it tells the count.
func (FlowdockJSON) Presence(p *Presence) [][]byte {
	if p.Kind == "snapshot" {
		messages := make([][]byte, 0, len(p.Users))
		for i := range p.Users {
			u := p.Users[i]
			u.Channel = p.Channel
			messages = append(messages, flowdockPresence(&u))
		}
		return messages
	}
	return [][]byte{flowdockPresence(p)}
}

func flowdockPresence(p *Presence) []byte {
	b := append([]byte(nil), `{"event":"presence","flow":`...)
	b = appendText(b, p.Channel)
	if p.Kind == "count" {
		b = append(b, `,"content":{"count":`...)
		b = strconv.AppendInt(b, int64(p.Count), 10)
		return append(b, "}}\r\n"...)
	}
	b = append(b, `,"content":{"user_id":`...)
	b = appendUserID(b, p.User)
	b = append(b, `,"state":`...)
	b = strconv.AppendInt(b, int64(flowdockStates[p.State]), 10)
	b = append(b, `,"updated_at":`...)
	b = strconv.AppendInt(b, p.Changed.UnixMilli(), 10)
	b = append(b, `},"user_id":`...)
	b = appendUserID(b, p.User)
	return append(b, "}\r\n"...)
}

// appendUserID appends the id of a user, as a number if it is one: in presence, the
// service had numbers.
func appendUserID(dst []byte, id string) []byte {
	if n, err := strconv.ParseUint(id, 10, 53); err == nil && strconv.FormatUint(n, 10) == id {
		return append(dst, id...)
	}
	return appendText(dst, id)
}

// Activity is Flowdock's activity.user: of who is active, the last activity is now.
func (FlowdockJSON) Activity(p *Presence, now time.Time) []byte {
	return append(appendActivity(nil, p, now), "\r\n"...)
}

func appendActivity(dst []byte, p *Presence, now time.Time) []byte {
	last := now
	if p.State != "active" {
		last = p.Changed
	}
	dst = append(dst, `{"event":"activity.user","tags":[],"uuid":null,"persist":false,"flow":`...)
	dst = appendText(dst, p.Channel)
	dst = append(dst, `,"content":{"last_activity":`...)
	dst = strconv.AppendInt(dst, last.UnixMilli(), 10)
	dst = append(dst, `},"sent":`...)
	dst = strconv.AppendInt(dst, now.UnixMilli(), 10)
	dst = append(dst, `,"app":null,"attachments":[],"user":`...)
	return append(appendText(dst, p.User), '}')
}

// Presence tells it in one event named presence. It has no id: it is not stored, and
// a client that comes back is told anew who is there.
func (SSE) Presence(p *Presence) [][]byte {
	b := append([]byte(nil), "event: presence\ndata: "...)
	return [][]byte{append(AppendPresence(b, p), "\n\n"...)}
}

// Activity is Flowdock's activity.user, as a message like every other.
func (SSE) Activity(p *Presence, now time.Time) []byte {
	return append(appendActivity([]byte("data: "), p, now), "\n\n"...)
}

// AppendPresence appends what is told as one JSON object on one line.
func AppendPresence(dst []byte, p *Presence) []byte {
	dst = append(dst, `{"kind":`...)
	dst = appendText(dst, p.Kind)
	dst = append(dst, `,"channel":`...)
	dst = appendText(dst, p.Channel)
	if p.User != "" {
		dst = appendPresent(append(dst, ','), p)
	}
	dst = append(dst, `,"count":`...)
	dst = strconv.AppendInt(dst, int64(p.Count), 10)
	if p.Kind == "snapshot" {
		dst = append(dst, `,"users":[`...)
		for i := range p.Users {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendPresent(append(dst, '{'), &p.Users[i]), '}')
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// AppendPlaces appends where a user is, each channel with what the user is there: the
// Users of p.
func AppendPlaces(dst []byte, p *Presence) []byte {
	dst = appendText(append(dst, `{"user":`...), p.User)
	dst = appendText(append(dst, `,"state":`...), p.State)
	dst = append(dst, `,"channels":[`...)
	for i := range p.Users {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(append(dst, `{"channel":`...), p.Users[i].Channel)
		dst = append(appendPresent(append(dst, ','), &p.Users[i]), '}')
	}
	return append(dst, "]}"...)
}

// appendPresent appends the members that say who is there.
func appendPresent(dst []byte, p *Presence) []byte {
	dst = append(dst, `"user":`...)
	dst = appendText(dst, p.User)
	dst = append(dst, `,"state":`...)
	dst = appendText(dst, p.State)
	if p.Streams > 0 {
		dst = append(dst, `,"streams":`...)
		dst = strconv.AppendInt(dst, int64(p.Streams), 10)
	}
	dst = append(dst, `,"since":"`...)
	dst = p.Since.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	return append(dst, '"')
}
