package bayeux

import (
	"strconv"

	"github.com/seed-078801ba/sidestream/stream/format"
)

// replies are the messages of an answer: a JSON array that is being written.
type replies struct{ json []byte }

// next begins a message, which the caller appends.
func (r *replies) next() {
	if len(r.json) == 0 {
		r.json = append(r.json, '[')
	} else {
		r.json = append(r.json, ',')
	}
}

// done is the whole array.
func (r *replies) done() []byte {
	if len(r.json) == 0 {
		return []byte("[]")
	}
	return append(r.json, ']')
}

// reply is the answer to one message. Clients know it by its id, which is echoed as
// it came, and look at successful and advice.
type reply struct {
	channel string
	id      []byte
	client  string
	err     *Error
	advice  *advice
	ext     []byte // members of ext, as JSON
	more    []byte // further members, each with a comma before it
}

func (r *replies) add(a reply) {
	r.next()
	dst := append(r.json, `{"channel":`...)
	dst = format.AppendText(dst, a.channel)
	if a.id != nil {
		dst = append(append(dst, `,"id":`...), a.id...)
	}
	if a.client != "" {
		dst = append(dst, `,"clientId":`...)
		dst = format.AppendText(dst, a.client)
	}
	dst = append(dst, `,"successful":`...)
	dst = strconv.AppendBool(dst, a.err == nil)
	if a.err != nil {
		dst = append(dst, `,"error":`...)
		dst = format.AppendText(dst, a.err.Error())
	}
	dst = append(dst, a.more...)
	if len(a.ext) > 0 {
		dst = append(dst, `,"ext":{`...)
		dst = append(append(dst, a.ext...), '}')
	}
	if a.advice != nil {
		dst = append(dst, `,"advice":`...)
		dst = a.advice.append(dst)
	}
	r.json = append(dst, '}')
}
