package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"log/slog"
	"net/netip"
)

// Input is one thing that a client presented: the name says what it is
// ("token", "cookie:session"), the value is secret.
type Input struct{ Name, Value string }

// Credential is all that a client presented and that the backend is shown. Two
// credentials are the same if all their inputs are, in order. It prints as
// nothing but the fact that it is one, so that it cannot get into a log by
// accident. The zero value is that of a client who presented nothing.
type Credential struct{ inputs []Input }

// NewCredential makes a credential of the inputs. It keeps the slice, which
// must not be changed any more.
func NewCredential(inputs ...Input) Credential { return Credential{inputs} }

// Value is the first input of that name; ok is false if there is none.
func (c Credential) Value(name string) (value string, ok bool) {
	for _, in := range c.inputs {
		if in.Name == name {
			return in.Value, true
		}
	}
	return "", false
}

// IsZero tells whether the client presented nothing.
func (c Credential) IsZero() bool { return len(c.inputs) == 0 }

// WriteTo writes all inputs, each part with its length, so that whoever keys a digest
// with a secret can tell two credentials apart.
func (c Credential) WriteTo(w io.Writer) (int64, error) {
	var text []byte
	for _, in := range c.inputs {
		text = appendPart(appendPart(text, in.Name), in.Value)
	}
	n, err := w.Write(text)
	return int64(n), err
}

const redacted = "[credential]"

// String is the same for all credentials.
func (Credential) String() string { return redacted }

// GoString is the same for all credentials.
func (Credential) GoString() string { return redacted }

// MarshalText is the same for all credentials.
func (Credential) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue is the same for all credentials.
func (Credential) LogValue() slog.Value { return slog.StringValue(redacted) }

// Question is: may this credential listen to this channel?
type Question struct {
	Credential Credential
	// Channel is the canonical name of the channel.
	Channel string
	// Scope names whose question it is: the site, and its rule for asking.
	// Verdicts are not shared between scopes.
	Scope string
	// List asks for all channels of the credential at once. One answer then
	// serves every channel.
	List bool
	// Address is where the client asks from; invalid if it has none, as over a
	// unix socket. Addresses take turns, and those that present many bad
	// credentials are blocked. Like Client and Foreign it is no part of what
	// makes questions the same.
	Address netip.Addr
	// Client names who asks, by what the client cannot vary for free: the
	// token without the password that no backend looks at. Clients of one
	// address take turns by it. Empty means the whole credential.
	Client string
	// Foreign says that a web page of another site made a browser ask. Whoever
	// sits at that browser is not blocked for its bad credentials.
	Foreign bool
	// Origin is handed to the Asker and is no part of what makes questions the
	// same: the verdict must not depend on it. Of many clients with the same
	// question, any one's Origin may be the one that is used, and it is kept
	// while streams run on the answer.
	Origin any
}

// digest stands for secrets in memory: nothing can be learnt from it without
// the key, which never leaves the process.
type digest [sha256.Size]byte

// digestKey is random and as old as the Gate.
type digestKey [32]byte

func newDigestKey() (k digestKey) {
	rand.Read(k[:]) // never fails (crypto/rand)
	return k
}

// question digests what makes questions the same.
func (k *digestKey) question(q *Question) digest {
	if q.List {
		return k.of(q.Credential, "list", q.Scope)
	}
	return k.of(q.Credential, "channel", q.Scope, q.Channel)
}

// credential digests a credential alone.
func (k *digestKey) credential(c Credential) digest { return k.of(c, "credential") }

// of digests the parts and the credential. Each part goes in with its length,
// so that no part can look like two.
func (k *digestKey) of(c Credential, parts ...string) (d digest) {
	text := make([]byte, 0, 256)
	for _, part := range parts {
		text = appendPart(text, part)
	}
	for _, in := range c.inputs {
		text = appendPart(appendPart(text, in.Name), in.Value)
	}
	h := hmac.New(sha256.New, k[:])
	h.Write(text)
	h.Sum(d[:0])
	return d
}

func appendPart(dst []byte, part string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(part)))
	return append(dst, part...)
}
