package event

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is the length of the longest name of a channel, in bytes. Ids of
// messages and users are no longer than that either.
const MaxName = 256

// UserPrefix begins the name of a user's private channel. No other channel may
// have a name that begins with it.
const UserPrefix = "user:"

// UserChannel is the name of the private channel of a user.
func UserChannel(user string) string { return UserPrefix + user }

// Why a name cannot be that of a channel. The texts are constants, fit for a
// log line and for the label of a metric: they hold nothing of the name.
var (
	ErrNameEmpty    = errors.New("the name of a channel is empty")
	ErrNameLong     = fmt.Errorf("the name of a channel is longer than %d bytes", MaxName)
	ErrNameText     = errors.New("the name of a channel is not valid UTF-8")
	ErrNameControl  = errors.New("the name of a channel has a control character or a line separator")
	ErrNameDots     = errors.New("the name of a channel has a dot segment (. or ..) as a part")
	ErrNameEscape   = errors.New("the name of a channel has an escaped slash, backslash or control character")
	ErrNameReserved = fmt.Errorf("the name of a channel begins with %q, which is kept for private messages", UserPrefix)
)

// CheckChannel says why a channel cannot have a name; nil if it can. It is the
// one rule for names: whatever brings an event in and whatever opens a stream
// uses it, so that there is no channel that has events and that nobody can ask
// for.
//
// A name is 1 to MaxName bytes of UTF-8 without control characters. Anything
// else that apps write is fine: #general, a/b/c, 50%, what?, 19:x;y=1. Three
// kinds of names are kept out. Those that begin with UserPrefix could reach
// private streams, and those with ObjectPrefix the channels of objects, for which
// a signed name is the right, or with ModePrefix those for which a token is. Those with a part that is a dot segment could lead the
// question about the channel, which has the name in its path, to another page of
// the backend. So could those with an escaped slash, as in a%2Fb, where a
// backend decodes that path once more than it should.
func CheckChannel(name string) error {
	if isParameterized(name) && len(name) <= MaxName {
		return nil // as most are: this is asked for every event
	}
	if strings.HasPrefix(name, UserPrefix) {
		return ErrNameReserved
	}
	if strings.HasPrefix(name, ObjectPrefix) {
		return ErrNameObject
	}
	if strings.HasPrefix(name, ModePrefix) {
		return ErrNameMode
	}
	if err := checkName(name, MaxName); err != nil {
		return err
	}
	return checkPath(name)
}

// ValidChannel tells whether a channel may have a name. See CheckChannel.
func ValidChannel(name string) bool { return CheckChannel(name) == nil }

// CheckUser says why a user with this id cannot have a private channel; nil if
// there is no reason.
func CheckUser(id string) error { return checkName(id, MaxName-len(UserPrefix)) }

func checkName(name string, longest int) error {
	switch {
	case name == "":
		return ErrNameEmpty
	case len(name) > longest:
		return ErrNameLong
	case !utf8.ValidString(name), strings.ContainsRune(name, utf8.RuneError):
		return ErrNameText // U+FFFD stands for text that somebody has lost
	case strings.ContainsFunc(name, isControl):
		return ErrNameControl
	}
	return nil
}

func isControl(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// checkPath looks for what a careless reader of a path may find in the name: a
// dot segment, behind a slash or backslash and with parameters behind it, or one
// more separator, after decoding it up to three times.
func checkPath(name string) error {
	for range 4 {
		for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '/' || r == '\\' }) {
			if part, _, _ = strings.Cut(part, ";"); part == "." || part == ".." {
				return ErrNameDots
			}
		}
		if !strings.Contains(name, "%") {
			return nil
		}
		if hasEscape(name) {
			return ErrNameEscape
		}
		name = onceMore.Replace(name)
	}
	return nil
}

// onceMore undoes the escapes of what dot segments and escapes are made of.
var onceMore = strings.NewReplacer("%2e", ".", "%2E", ".", "%3b", ";", "%3B", ";", "%25", "%")

// hasEscape tells whether there is an escaped slash, backslash or control
// character.
func hasEscape(name string) bool {
	for {
		_, after, found := strings.Cut(name, "%")
		if !found {
			return false
		}
		if len(after) >= 2 {
			c, err := strconv.ParseUint(after[:2], 16, 8)
			if err == nil && (c < ' ' || c == 0x7f || c == '/' || c == '\\') {
				return true
			}
		}
		name = after
	}
}

// Names is how the names of a hub's channels are read. The zero value takes
// every name as it is.
type Names struct {
	// Flows: org:flow is the channel org/flow. That is how Flowdock named its
	// flows in filters and messages before 27 May 2013.
	Flows bool
}

// Canonical is the one form of a channel's name under which its events are
// stored, the backend is asked, and streams listen. Only names that
// CheckChannel takes have one.
func (n Names) Canonical(name string) string {
	if !n.Flows || strings.HasPrefix(name, UserPrefix) {
		return name
	}
	org, flow, ok := strings.Cut(name, ":")
	if ok && isParameterized(org) && isParameterized(flow) {
		return org + "/" + flow
	}
	return name
}

// CanonicalAll is Canonical for the names that one client asks for, in order and
// without repetitions.
func (n Names) CanonicalAll(names []string) []string {
	all := make([]string, 0, len(names))
	for _, name := range names {
		if name = n.Canonical(name); !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// isParameterized tells whether text is what Rails' parameterize may return,
// of which Flowdock made the names of organizations and flows.
func isParameterized(text string) bool {
	for i := range len(text) {
		c := text[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return text != ""
}
