package bayeux

import (
	"context"
	"errors"
	"fmt"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// Salesforce turns on the dialect of Salesforce's Streaming API, as its clients speak
// it (jsforce: api/streaming/extension; restforce: ext/replay; Salesforce, Streaming
// API Developer Guide, "Message Durability"). A subscription says in ext.replay where
// it begins, and each message has its place in data.event.replayId.
type Salesforce struct {
	// On turns the dialect on. The channels are then by default /event/{channel},
	// /topic/{channel}, /data/{channel} and /u/{channel}.
	On bool `json:"salesforce,omitempty"`
	// ReplayInvalid is what becomes of a subscription whose replay id is of no use:
	// `refuse`, as Salesforce does, or `all`, which gives all that is kept. Default:
	// `refuse`.
	ReplayInvalid string `json:"replay_invalid,omitempty"`
}

var salesforceChannels = []string{"/event/{channel}", "/topic/{channel}", "/data/{channel}", "/u/{channel}"}

func (f *Salesforce) option(name string, args []string) error {
	if name == "salesforce" {
		if f.On = true; len(args) > 0 {
			return errors.New("it is a switch, and takes no value")
		}
		return nil
	}
	if len(args) != 1 {
		return errors.New("it is refuse or all")
	}
	f.ReplayInvalid = args[0]
	return f.check()
}

func (f *Salesforce) check() error {
	switch f.ReplayInvalid {
	case "", "refuse", "all":
		return nil
	}
	return fmt.Errorf("bayeux: replay_invalid is refuse or all, not %q", f.ReplayInvalid)
}

// What a client may say instead of a replay id.
const (
	replayNew = -1 // only what is said from now on
	replayAll = -2 // and all that is kept
)

// A replay id is a position of the log below 2^53, which every client of JavaScript can
// count to: 12 bits of its epoch, and 40 bits of the number. So an id of another life
// of the log is mostly seen to be void.
const replaySeqBits = 40

func replayID(c event.Cursor) int64 {
	return epochBits(c.Epoch)<<replaySeqBits | int64(c.Seq&(1<<replaySeqBits-1))
}

func epochBits(e event.Epoch) int64 { return int64(e[0])<<4 | int64(e[1])>>4 }

// replayOf reads where a client wants a channel to begin; said is false if it does not
// say.
func replayOf(ext *fastjson.Value, name string) (id int64, said bool) {
	v := ext.Get("replay", name)
	if v == nil || v.Type() != fastjson.TypeNumber {
		return 0, false
	}
	id, err := v.Int64()
	return id, err == nil
}

// errReplay is the error of a replay id of no use, in Salesforce's words.
func errReplay(id int64) *Error {
	return &Error{400, "", fmt.Sprintf("The replayId {%d} you provided was invalid.  Please provide a valid ID, -2 to replay all events, or -1 to replay only new events.", id)}
}

// replayFrom finds where a channel begins by its replay id.
func (x *exchange) replayFrom(ctx context.Context, s *Session, channel string, id int64) (stream.Start, *Error) {
	all := stream.From{Since: maxPast}
	from, channels := all, []string{channel}
	switch {
	case id == replayNew:
		from = stream.From{}
	case id == replayAll:
	default:
		head := x.server.Hub.Head()
		seq := uint64(id & (1<<replaySeqBits - 1))
		void := id < 0 || id>>replaySeqBits != epochBits(head.Epoch)
		if !void {
			at, err := x.server.Hub.CursorAt(seq)
			if err != nil {
				return stream.Start{}, errServer("Internal server error")
			}
			start, err := x.resolveFrom(ctx, s, channels, stream.From{Cursor: at.String()})
			if err != nil {
				return stream.Start{}, errServer("Internal server error")
			}
			if len(start.Missing) == 0 {
				return start, nil
			}
		}
		if !x.replayInvalidAll {
			return stream.Start{}, errReplay(id)
		}
	}
	start, err := x.resolveFrom(ctx, s, channels, from)
	if err != nil {
		return stream.Start{}, errServer("Internal server error")
	}
	return start, nil
}

// appendReplay appends an event as AppendBayeux does, with its place in
// data.event.replayId. What the data has there already is kept.
func appendReplay(dst []byte, name string, e *event.Entry, cursor event.Cursor) []byte {
	plain := format.AppendBayeux(nil, name, e, cursor)
	if len(plain) == 0 {
		return dst
	}
	m, err := fastjson.ParseBytes(plain)
	if err != nil {
		return append(dst, plain...)
	}
	data := m.Get("data")
	if data == nil || data.Type() != fastjson.TypeObject {
		return append(dst, plain...)
	}
	dst = format.AppendText(append(dst, `{"channel":`...), name)
	dst = append(dst, `,"data":{"event":{"replayId":`...)
	dst = fmt.Append(dst, replayID(cursor))
	if of := data.Get("event"); of != nil && of.Type() == fastjson.TypeObject {
		dst = appendMembers(dst, of, "replayId")
	}
	dst = appendMembers(append(dst, '}'), data, "event")
	dst = append(dst, `},"ext":`...)
	return append(appendValue(dst, m.Get("ext")), '}')
}

// appendMembers appends the members of an object but for one, each with a comma before
// it.
func appendMembers(dst []byte, object *fastjson.Value, but string) []byte {
	object.GetObject().Visit(func(key []byte, v *fastjson.Value) {
		if string(key) != but {
			dst = append(dst, ',')
			dst = format.AppendText(dst, string(key))
			dst = appendValue(append(dst, ':'), v)
		}
	})
	return dst
}
