package bayeux

import (
	"fmt"
	"time"

	"github.com/valyala/fastjson"
)

// timesync is what a client of the time synchronization extension has sent
// (docs.cometd.org, Time Synchronization Extension): its clock, the delay of the
// network and the offset of the clocks as far as it knows them, in milliseconds.
type timesync struct {
	tc, l, o int64
	received time.Time
}

func (x *exchange) timesyncOf(m *message) *timesync { return x.readTimesync(extOf(m, "timesync")) }

func (x *exchange) readTimesync(v *fastjson.Value) *timesync {
	if v == nil || v.Type() != fastjson.TypeObject {
		return nil
	}
	number := func(name string) int64 {
		f := v.GetFloat64(name)
		if f < -1e15 || f > 1e15 {
			return 0
		}
		return int64(f)
	}
	return &timesync{number("tc"), number("l"), number("o"), x.arrived}
}

// append appends what the server's clock says, if the client does not know it well
// enough.
func (t *timesync) append(reply []byte, now time.Time) []byte {
	if t == nil {
		return reply
	}
	ts := t.received.UnixMilli()
	accuracy := t.tc + t.o + t.l - ts
	if t.l != 0 && accuracy > -25 && accuracy < 25 {
		return reply
	}
	return appendMember(reply, "timesync", fmt.Appendf(nil, `{"tc":%d,"ts":%d,"p":%d,"a":%d}`, t.tc, ts, now.Sub(t.received).Milliseconds(), accuracy))
}

// timesync answers at once.
func (x *exchange) timesync(ext *fastjson.Value, _ time.Duration, reply []byte) []byte {
	return x.readTimesync(ext.Get("timesync")).append(reply, time.Now())
}
