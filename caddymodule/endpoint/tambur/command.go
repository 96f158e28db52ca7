package tambur

import (
	"strconv"

	"github.com/valyala/fastjson"
)

// command is what a client says: [name, handle, ...]. Its answer has the same handle.
type command struct {
	name   string
	handle string // as JSON
	args   []string
}

// Answers to commands. Clients look for "ok", and throw at "already_subscribed" (once
// for each of their streams) and at a handle that is not above zero; they show the
// others at most.
const (
	answerOK       = "ok"
	answerTwice    = "already_subscribed"
	answerNotIn    = "not_subscribed"
	answerMode     = "unknown_mode"
	answerToken    = "invalid_token"
	answerUser     = "invalid_user"
	answerNoDirect = "direct_mode_not_enabled"
	answerCommand  = "unknown_command"
	answerJSON     = "bad_json"
	answerStream   = "invalid_stream"
	answerDenied   = "not_allowed"
	answerLater    = "try_again"
	answerTooMany  = "too_many_streams"
	answerEnded    = "access_ended" // of no command: the app has taken a right away
)

// noHandle is the handle of an answer to something that has none.
const noHandle = "0"

// arguments is how many each command has. set_mode has one more for some modes.
var arguments = map[string]int{"subscribe": 1, "unsubscribe": 1, "set_mode": 3, "unset_mode": 2, "direct": 3}

// parse reads a command. The answer is not empty if it is none.
func parse(text []byte) (c command, answer string) {
	c.handle = noHandle
	v, err := fastjson.ParseBytes(text)
	if err != nil {
		return c, answerJSON
	}
	list, err := v.Array()
	if err != nil || len(list) == 0 {
		return c, answerJSON
	}
	if len(list) > 1 {
		if n, err := list[1].Int64(); err == nil {
			c.handle = strconv.FormatInt(n, 10)
		}
	}
	texts := make([]string, 0, len(list))
	for i, item := range list {
		if i == 1 {
			continue
		}
		switch item.Type() {
		case fastjson.TypeString:
			texts = append(texts, string(item.GetStringBytes()))
		case fastjson.TypeNumber: // a client's user may be one
			texts = append(texts, string(item.MarshalTo(nil)))
		default:
			return c, answerJSON
		}
	}
	c.name, c.args = texts[0], texts[1:]
	least, known := arguments[c.name]
	switch {
	case !known:
		return c, answerCommand
	case len(c.args) < least:
		return c, answerJSON
	}
	return c, ""
}

// waits tells whether a command may wait, for the backend or the log.
func (c *command) waits() bool {
	return c.name == "subscribe" || c.name == "set_mode"
}
