package event

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
)

// ObjectPrefix begins the names of channels of objects. No other channel may have a
// name that begins with it.
const ObjectPrefix = "signed~"

// Object stands for something of the app that has channels of its own, a live event
// or a photo. It is a digest of its kind and id: who knows these can make it, so it
// is no secret and no permission. Clients know an object by a signed name.
type Object [12]byte

// ErrNameObject is the error of a name that only the channel of an object may have.
var ErrNameObject = errors.New(`the name of a channel begins with "` + ObjectPrefix + `", which is kept for channels of objects`)

// ObjectOf is the object of a kind with an id of the app.
func ObjectOf(kind, id string) Object {
	h := sha256.New()
	for _, part := range []string{"sidestream object", kind, id} {
		h.Write(strconv.AppendInt(nil, int64(len(part)), 10))
		h.Write([]byte{':'})
		h.Write([]byte(part))
	}
	return Object(h.Sum(nil)[:len(Object{})])
}

// String is what the names of all of the object's channels begin with.
func (o Object) String() string { return ObjectPrefix + hex.EncodeToString(o[:]) }

// Channel is one of the object's channels: all_json, or events/started.
func (o Object) Channel(sub string) string { return o.String() + "/" + sub }

// CheckObjectChannel says why a name is not that of an object's channel; nil if it
// is one. What stands behind the object are parts of letters, digits and -_!~()$@
// with slashes between them: what a client of Bayeux can ask for.
func CheckObjectChannel(name string) error {
	rest, ok := strings.CutPrefix(name, ObjectPrefix)
	digits, sub, parts := strings.Cut(rest, "/")
	switch {
	case len(name) > MaxName:
		return ErrNameLong
	case !ok || len(digits) != 2*len(Object{}) || strings.Trim(digits, "0123456789abcdef") != "":
		return errObjectChannel
	case !parts:
		return errObjectPart
	}
	for part := range strings.SplitSeq(sub, "/") {
		if part == "" || strings.ContainsFunc(part, notOfBayeux) {
			return errObjectPart
		}
	}
	return nil
}

// Why a name is none of an object's channels. The texts are constants.
var (
	errObjectChannel = errors.New("the name is not that of a channel of an object")
	errObjectPart    = errors.New("the channel of an object needs a part behind the object, of letters, digits and -_!~()$@, as in /all_json")
)

func notOfBayeux(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_!~()$@", r)
}
