package event

import (
	"errors"
	"strings"
)

// ModePrefix begins the names of channels that only a token of the app gives, see
// ModeChannel. No other channel may have a name that begins with it.
const ModePrefix = "mode~"

// ErrNameMode is the error of a name that only the channel of a mode may have.
var ErrNameMode = errors.New(`the name of a channel begins with "` + ModePrefix + `", which is kept for channels that only a token of the app gives`)

// ModeChannel is the channel of a mode of one of an app's streams: what is said to
// those who have proved with a token that they may hear it. The names of app and mode
// have no colon.
func ModeChannel(app, mode, stream string) string {
	return ModePrefix + app + ":" + mode + ":" + stream
}

// SplitMode takes the name of a mode's channel apart; false if it is none.
func SplitMode(name string) (app, mode, stream string, ok bool) {
	rest, ok := strings.CutPrefix(name, ModePrefix)
	app, rest, found := strings.Cut(rest, ":")
	mode, stream, found2 := strings.Cut(rest, ":")
	return app, mode, stream, ok && found && found2
}

// CheckModeChannel says why a name is not that of a mode's channel; nil if it is one.
func CheckModeChannel(name string) error {
	app, mode, stream, ok := SplitMode(name)
	if !ok || app == "" || mode == "" || stream == "" {
		return ErrNameMode
	}
	return checkName(name, MaxName)
}
