package redis

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"
)

// signal is what nodes send each other on the channel of the probes. Every
// signal, whichever of the nodes sent it and whatever it says, begins a new
// window for all that share the scope.
type signal struct {
	kind    string
	scope   string // only nodes that listen to the same for the same log
	session string // the subscription of the sender
	token   string // unique; it names the window
	answers string // of an answer: the token of the question
	gap     string // of an answer: the id of the last loss, if any
	sent    int64  // by the sender's clock, in seconds since 1970
}

const (
	signalVersion = "sidestream2"
	// probeSignal must come back to its sender.
	probeSignal = "probe"
	// askSignal asks who has been listening all along.
	askSignal = "ask"
	// answerSignal says: I have, and everything that I heard before your
	// question is stored.
	answerSignal = "answer"
	// nothing stands for an empty part.
	nothing = "-"
	// maxSignal is longer than every signal, with its proof.
	maxSignal = len(signalVersion) + len(answerSignal) + 5*(tokenLen+1) + 24 + proofLen
)

func (s *signal) String() string {
	return strings.Join([]string{
		signalVersion, s.kind, s.scope, s.session, s.token, or(s.answers, nothing), or(s.gap, nothing), strconv.FormatInt(s.sent, 10),
	}, " ")
}

// parseSignal reads what String wrote. Whatever else comes in on the channel is
// not ours.
func parseSignal(text string) (signal, bool) {
	if len(text) > maxSignal {
		return signal{}, false
	}
	parts := strings.Split(text, " ")
	if len(parts) != 8 || parts[0] != signalVersion {
		return signal{}, false
	}
	s := signal{kind: parts[1], scope: parts[2], session: parts[3], token: parts[4]}
	for i, to := range []*string{&s.answers, &s.gap} {
		if part := parts[5+i]; part != nothing {
			if !isToken(part) {
				return signal{}, false
			}
			*to = part
		}
	}
	var err error
	s.sent, err = strconv.ParseInt(parts[7], 10, 64)
	known := s.kind == probeSignal || s.kind == askSignal || s.kind == answerSignal
	return s, known && err == nil && parts[7] == strconv.FormatInt(s.sent, 10) && isToken(s.scope) && isToken(s.session) && isToken(s.token)
}

// proofLen is the length of what proves who sent a signal: 16 bytes in base64url.
const proofLen = 22

// signatures proves who sent a signal: whoever may publish on the channel of the
// probes, but does not know the secret of the log, can say nothing there. What was
// said once cannot be said again either.
type signatures struct {
	secret func() []byte // nil while it is not known

	mu   sync.Mutex
	from []byte // the secret that key was made of
	key  []byte
}

var errNoSecret = errors.New("the shared log is out of reach, and with it the secret by which its nodes know each other")

// sign proves a signal.
func (s *signatures) sign(g *signal) (string, error) {
	key := s.current()
	if key == nil {
		return "", errNoSecret
	}
	text := g.String()
	return text + " " + proof(key, text), nil
}

// open is the signal in a text whose proof is right.
func (s *signatures) open(text string) (signal, bool) {
	at := strings.LastIndexByte(text, ' ')
	if at < 0 || len(text) > maxSignal {
		return signal{}, false
	}
	g, ok := parseSignal(text[:at])
	key := s.current()
	if !ok || key == nil || !hmac.Equal([]byte(text[at+1:]), []byte(proof(key, text[:at]))) {
		return signal{}, false
	}
	return g, true
}

// current is the key of now: a log that was lost and begun anew has another secret.
func (s *signatures) current() []byte {
	secret := s.secret()
	if len(secret) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !bytes.Equal(secret, s.from) {
		s.from = bytes.Clone(secret)
		s.key = mac(secret, "signals of Redis sources")
	}
	return s.key
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func proof(key []byte, text string) string {
	return base64.RawURLEncoding.EncodeToString(mac(key, text)[:16])
}

// signalAge is how far the time of a signal may be from ours. The clocks of nodes
// that share a log must not be farther apart.
const signalAge = time.Minute

// repeats knows the signals of late, so that none counts twice: a window that was
// opened again would make new messages look like those of the first time.
type repeats struct {
	mu     sync.Mutex
	seen   map[string]time.Time // by token
	pruned time.Time
}

// fresh tells whether a signal is of now and was not seen before.
func (r *repeats) fresh(g *signal, now time.Time) bool {
	if age := now.Sub(time.Unix(g.sent, 0)); age > signalAge || age < -signalAge {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.seen[g.token]; ok {
		return false
	}
	if now.Sub(r.pruned) > signalAge {
		r.pruned = now
		for token, at := range r.seen {
			if now.Sub(at) > 2*signalAge {
				delete(r.seen, token)
			}
		}
	}
	if r.seen == nil {
		r.seen = map[string]time.Time{}
	}
	r.seen[g.token] = now
	return true
}
