package bayeux

import (
	"fmt"
	"strings"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// placeholder stands for a channel's name in what configurations map.
const placeholder = "{channel}"

// Rooms maps the names of Bayeux to channels of the hub, as in /rooms/{channel}. The
// name of the hub's channel may have slashes if nothing stands behind it.
type Rooms struct{ prefix, suffix string }

// ParseRooms reads how names are mapped.
func ParseRooms(text string) (Rooms, error) {
	prefix, suffix, found := strings.Cut(text, placeholder)
	if !found || strings.Contains(suffix, placeholder) {
		return Rooms{}, fmt.Errorf("%q has to have {channel} in it once; write for example /rooms/{channel}", text)
	}
	if example := prefix + "x" + suffix; !validName(example) || isMeta(example) || isService(example) ||
		!strings.HasSuffix(prefix, "/") || prefix == "/" || suffix != "" && suffix[0] != '/' {
		return Rooms{}, fmt.Errorf("%q names no channels of Bayeux: parts of letters, digits and -_!~()$@ with a slash before each, {channel} being one of them, and not the first; write for example /rooms/{channel}", text)
	}
	return Rooms{prefix, suffix}, nil
}

// Resolve implements Resolver. A wildcard is for what is below a room, and takes the
// right to that room.
func (m Rooms) Resolve(name string, pattern bool) (t Target, known bool, err *Error) {
	rest, ok := strings.CutPrefix(name, m.prefix)
	if !ok || rest == "" {
		return t, false, nil
	}
	if pattern {
		stem, _ := patternStem(rest)
		if m.suffix != "" || stem == "" || stem == "*" || stem == "**" || !event.ValidChannel(stem) {
			return t, true, errForbidden(name)
		}
		return Target{Channel: rest, Pattern: true, Right: stem}, true, nil
	}
	channel, ok := strings.CutSuffix(rest, m.suffix)
	if !ok || m.suffix != "" && strings.Contains(channel, "/") || !event.ValidChannel(channel) {
		return t, false, nil
	}
	return Target{Channel: channel, Right: channel}, true, nil
}
