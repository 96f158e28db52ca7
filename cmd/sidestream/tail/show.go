package tail

import (
	"encoding/xml"
	"strings"
	"time"
	"unicode"

	"github.com/valyala/fastjson"
)

// Line is a message for people: time, channel, who, and what, on one line. A
// payload of an unknown schema is shown as it is.
func Line(payload []byte) string {
	if len(payload) > 0 && payload[0] == '<' {
		var m xmlMessage
		if xml.Unmarshal(payload, &m) != nil {
			return Printable(string(payload))
		}
		return line(m.Time, m.Room, m.User, m.Type, m.Body)
	}
	v, err := fastjson.ParseBytes(payload)
	if err != nil || v.Type() != fastjson.TypeObject {
		return Printable(string(payload))
	}
	switch {
	case v.Exists("room_id"):
		who := scalar(v.Get("user_id"))
		for _, name := range []string{scalar(v.Get("user", "name")), scalar(v.Get("user_name"))} {
			if name != "" { // of a payload that is passed on as it came
				who = name
			}
		}
		return line(scalar(v.Get("created_at")), scalar(v.Get("room_id")), who, scalar(v.Get("type")), scalar(v.Get("body")))
	case v.Exists("event"):
		return flowdockLine(v)
	}
	return Printable(string(payload))
}

func flowdockLine(v *fastjson.Value) string {
	when := ""
	if ms := v.GetInt64("sent"); ms != 0 {
		when = time.UnixMilli(ms).UTC().Format(time.RFC3339)
	}
	where := scalar(v.Get("flow"))
	if where == "" {
		where = "private"
	}
	who := scalar(v.Get("user"))
	if name := scalar(v.Get("external_user_name")); name != "" {
		who = name
	}
	what := ""
	if content := v.Get("content"); content != nil {
		if what = scalar(content); what == "" && content.Type() != fastjson.TypeNull {
			what = content.String()
		}
	}
	return line(when, where, who, scalar(v.Get("event")), what)
}

func line(when, where, who, kind, what string) string {
	var b strings.Builder
	for _, layout := range []string{"2006/01/02 15:04:05 -0700", time.RFC3339} {
		if t, err := time.Parse(layout, when); err == nil {
			when = t.Local().Format(time.TimeOnly)
			break
		}
	}
	b.WriteString(when)
	b.WriteString("  [" + where + "]  ")
	if who != "" {
		b.WriteString(who + ": ")
	}
	if kind != "TextMessage" && kind != "message" && kind != "" {
		b.WriteString("(" + kind + ") ")
	}
	b.WriteString(what)
	return Printable(b.String())
}

// Printable escapes control characters, so that they cannot control the terminal,
// and keeps everything on one line.
func Printable(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		switch {
		case r == '\n':
			b.WriteString(" ⏎ ")
		case r == '\t':
			b.WriteByte(' ')
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r) && r != '\u200d', r == '\u2028', r == '\u2029':
			b.WriteRune('\ufffd')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
