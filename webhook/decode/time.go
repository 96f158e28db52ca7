package decode

import (
	"strconv"
	"strings"
	"time"
)

// layouts are the written forms of a time that apps send, campfireLayout is
// another one. It is known by its slashes: trying the others first would cost
// more than all else in mapping a message.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999 Z0700"}

var datePath = Path{newStep("$date")}

const campfireLayout = "2006/01/02 15:04:05 -0700"

// time reads a moment in whatever way the app writes it: a number whose count
// of digits tells seconds, milliseconds, microseconds or nanoseconds, seconds
// with a fraction, a written date, or {"$date":ms}.
func (v *Value) time() (time.Time, bool) {
	switch v.kind {
	case text, number:
		return parseTime(v.text)
	case composite:
		if inner, err := datePath.Find(v.node); err == nil && (inner.kind == text || inner.kind == number) {
			return parseTime(inner.text)
		}
	}
	return time.Time{}, false
}

func parseTime(s string) (time.Time, bool) {
	whole, fraction, fractional := strings.Cut(s, ".")
	if isDigits(whole) && (!fractional || (len(whole) == 10 && isDigits(fraction))) {
		n, err := strconv.ParseInt(whole, 10, 64)
		if err != nil {
			return time.Time{}, false
		}
		switch len(whole) {
		case 10:
			millis := int64(0)
			for i := range 3 {
				millis *= 10
				if i < len(fraction) {
					millis += int64(fraction[i] - '0')
				}
			}
			return time.UnixMilli(n*1000 + millis).UTC(), true
		case 13:
			return time.UnixMilli(n).UTC(), true
		case 16:
			return time.UnixMilli(n / 1000).UTC(), true
		case 19:
			return time.UnixMilli(n / 1_000_000).UTC(), true
		}
		return time.Time{}, false
	}
	if len(s) > 64 {
		return time.Time{}, false
	}
	if strings.Contains(s, "/") {
		t, err := time.Parse(campfireLayout, s)
		return t.Truncate(time.Millisecond).UTC(), err == nil
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Truncate(time.Millisecond).UTC(), true
		}
	}
	return time.Time{}, false
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
