// Package signed makes and opens signed root channels: 40 hexadecimal digits that
// name an object of the app to Bayeux clients. To know one is the permission to
// listen to the object's channels, as TwentyThree had it (its real-time API).
//
// # What is in a root
//
// 40 digits are 160 bits, and they have to carry everything: there is no list of the
// roots that were given out. An object is 96 bits, a digest of its kind and id (see
// event.Object). A root is that object, encrypted and signed in one, after the
// pattern of RFC 5297 (SIV):
//
//	mark = the first 64 bits of HMAC-SHA256(key 1, object and the object's epoch)
//	mask = the first 96 bits of HMAC-SHA256(key 2, mark)
//	root = mark, and then object XOR mask
//
// Both keys are derived from the secret with HKDF. To open a root is to take the
// mask off, to look up the epoch of the object that comes out, and to make the mark
// again. So the channels of an object have one name in the history, whichever secret
// a root was made with, and a new root does not hide what was said before.
//
// # What that is worth
//
// Who holds roots of other objects learns nothing of this one: HMAC-SHA256 is taken
// for a random function. To guess the root of a certain object, whose kind and id are
// known, is to guess its mark and, unless that mark was seen before, its mask: one in
// 2^160, and one in 2^64 with a mark that was seen. To hit any object of a million is
// 2^20 times as likely, and there is no way to try but to ask a server, which answers
// some thousand times a second. A root that nobody made is refused for all but one in
// 2^64 tries; such a root names an object that does not exist, and tells nothing.
//
// Two objects share a digest, and so their channels, once there are about 2^48 of
// them. Of a thousand million, the odds are one in 10^11.
//
// A root is a secret that is shown to browsers. Whoever may see it can pass it on.
// That ends with a new epoch of the object, or with a new secret for all objects.
//
// The package knows neither HTTP nor the protocol.
package signed

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/seed-078801ba/sidestream/stream/event"
)

const (
	markSize = 8
	rootSize = markSize + len(event.Object{})
	// RootLen is the length of a root, in hexadecimal digits.
	RootLen = 2 * rootSize
	// MinSecret is how long a secret has to be, in bytes.
	MinSecret = 16
)

// Epochs says how often an object's root was made anew.
type Epochs interface{ Epoch(event.Object) uint32 }

// Roots makes and opens roots. It is safe for concurrent use.
type Roots struct {
	keys   []keys // the first one makes them
	epochs Epochs
}

type keys struct{ mark, mask []byte }

// New takes the secrets: roots are made with the first, and opened with all of them,
// so that a secret can be replaced while clients hold roots of the old one. Without
// epochs, no object's root was made anew.
func New(secrets []string, epochs Epochs) (*Roots, error) {
	r := &Roots{epochs: epochs}
	for _, secret := range secrets {
		if len(secret) < MinSecret {
			return nil, fmt.Errorf("a secret of signed channels has %d bytes; it needs %d at least, as openssl rand -hex 32 gives", len(secret), MinSecret)
		}
		var k keys
		for _, key := range []struct {
			to  *[]byte
			use string
		}{{&k.mark, "sidestream signed mark"}, {&k.mask, "sidestream signed mask"}} {
			b, err := hkdf.Key(sha256.New, []byte(secret), nil, key.use, sha256.Size)
			if err != nil {
				return nil, err
			}
			*key.to = b
		}
		r.keys = append(r.keys, k)
	}
	if len(r.keys) == 0 {
		return nil, errors.New("signed channels need a secret")
	}
	return r, nil
}

// Root is the root of an object.
func (r *Roots) Root(o event.Object) string {
	k := &r.keys[0]
	var root [rootSize]byte
	mark := k.markOf(o, r.epoch(o))
	copy(root[:], mark[:])
	k.hide((*event.Object)(root[markSize:]), o, mark)
	return hex.EncodeToString(root[:])
}

// Open is the object of a root; ok is false for what is none, is one of an epoch that
// is over, or was made with another secret.
func (r *Roots) Open(root string) (o event.Object, ok bool) {
	var b [rootSize]byte
	if len(root) != RootLen || strings.ToLower(root) != root { // it has one spelling
		return o, false
	}
	if _, err := hex.Decode(b[:], []byte(root)); err != nil {
		return o, false
	}
	mark := [markSize]byte(b[:markSize])
	for i := range r.keys {
		k := &r.keys[i]
		var hidden event.Object
		k.hide(&hidden, event.Object(b[markSize:]), mark)
		want := k.markOf(hidden, r.epoch(hidden))
		if subtle.ConstantTimeCompare(want[:], mark[:]) == 1 {
			return hidden, true
		}
	}
	return o, false
}

func (r *Roots) epoch(o event.Object) uint32 {
	if r.epochs == nil {
		return 0
	}
	return r.epochs.Epoch(o)
}

// markOf signs an object.
func (k *keys) markOf(o event.Object, epoch uint32) [markSize]byte {
	h := hmac.New(sha256.New, k.mark)
	h.Write(binary.BigEndian.AppendUint32(o[:len(o):len(o)], epoch))
	return [markSize]byte(h.Sum(nil))
}

// hide puts the mask of a mark on an object, or takes it off.
func (k *keys) hide(dst *event.Object, o event.Object, mark [markSize]byte) {
	h := hmac.New(sha256.New, k.mask)
	h.Write(mark[:])
	subtle.XORBytes(dst[:], o[:], h.Sum(nil))
}
