package tambur

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/stream/event"
)

const (
	// maxBody bounds what a publisher posts, in bytes.
	maxBody = 128 << 10
	// maxReading bounds how many bodies are read and checked at one time, whose
	// signatures are not known to be right yet.
	maxReading = 32
	// maxFailures is how many wrong signatures an address may send in a minute. Each
	// costs some dozen digests of the body.
	maxFailures = 60
)

// publish serves POST /app/<id>/stream/<stream>: 204 when the message is stored, else
// a line of text, without which the Ruby client fails in another way.
func (e *tambur) publish(w http.ResponseWriter, r *http.Request, s *endpoint.Server, id, stream string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*") // a signature is no cookie
	switch r.Method {
	case http.MethodPost:
	case http.MethodOptions:
		h.Set("Allow", "POST, OPTIONS")
		h.Set("Access-Control-Allow-Methods", "POST")
		h.Set("Access-Control-Allow-Headers", "Content-Type, X-Requested-With")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		h.Set("Allow", "POST, OPTIONS")
		refuse(w, http.StatusMethodNotAllowed, "messages are published with POST")
		return
	}
	if re := e.take(r, s, w, id, stream); re != nil {
		if re.after > 0 {
			h.Set("Retry-After", strconv.Itoa(re.after))
		}
		s.Logger.Debug("a message was not published", "app", id, "status", re.status, "reason", re.text)
		refuse(w, re.status, re.text)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// refusal is why a message is not published. The text is a constant.
type refusal struct {
	status int
	text   string
	after  int // seconds
}

var (
	refusedApp       = &refusal{status: http.StatusNotFound, text: "there is no such app"}
	refusedStream    = &refusal{status: http.StatusBadRequest, text: "no stream can have this name"}
	refusedSize      = &refusal{status: http.StatusRequestEntityTooLarge, text: "the message is too big"}
	refusedBody      = &refusal{status: http.StatusBadRequest, text: "the body could not be read"}
	refusedParameter = &refusal{status: http.StatusBadRequest, text: "api_version and message are missing: the body is a form with both"}
	refusedVersion   = &refusal{status: http.StatusBadRequest, text: "api_version is 1.0"}
	refusedText      = &refusal{status: http.StatusBadRequest, text: "the message is not UTF-8"}
	refusedKey       = &refusal{status: http.StatusUnauthorized, text: "oauth_consumer_key is not the app's"}
	refusedSignature = &refusal{status: http.StatusUnauthorized, text: "the signature is not that of the app's secret"}
	refusedTime      = &refusal{status: http.StatusUnauthorized, text: "oauth_timestamp is too far from now: set the clock"}
	refusedNoNonce   = &refusal{status: http.StatusUnauthorized, text: "oauth_nonce is missing"}
	refusedNonce     = &refusal{status: http.StatusUnauthorized, text: "oauth_nonce was used before"}
	refusedRate      = &refusal{status: http.StatusTooManyRequests, text: "too many wrong signatures", after: 60}
	refusedBusy      = &refusal{status: http.StatusServiceUnavailable, text: "too many messages are being checked", after: 1}
	refusedFull      = &refusal{status: http.StatusInsufficientStorage, text: "the store is full", after: 30}
	refusedStore     = &refusal{status: http.StatusServiceUnavailable, text: "the message could not be stored", after: 5}
)

// take reads, verifies and stores a message.
func (e *tambur) take(r *http.Request, s *endpoint.Server, w http.ResponseWriter, id, stream string) *refusal {
	app := e.appOf(id)
	if app == nil {
		return refusedApp
	}
	channel, ok := app.published(stream)
	if !ok || s.Names.Canonical(channel) != channel {
		return refusedStream
	}
	address := s.Address(r)
	select {
	case e.checking <- struct{}{}:
		defer func() { <-e.checking }()
	default:
		return refusedBusy
	}
	if e.failures.tooMany(address, time.Now()) {
		return refusedRate
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return refusedSize
	case err != nil:
		return refusedBody
	}
	f, re := app.check(request(r, string(body)), time.Now())
	if re != nil {
		if re.status == http.StatusUnauthorized {
			e.failures.note(address, time.Now())
		}
		return re
	}
	return store(r, s, channel, f)
}

// published is the channel that a publisher means: `auth:` and `private:` stand before
// those who have a token, and before one subscriber.
func (a *application) published(stream string) (string, bool) {
	if mode, name, ok := strings.Cut(stream, ":"); ok && (mode == modeAuth || mode == modePrivate) {
		channel := event.ModeChannel(a.id, mode, name)
		if mode == modeAuth {
			if _, ok := a.channel(name); !ok {
				return "", false
			}
		}
		return channel, event.CheckModeChannel(channel) == nil
	}
	return a.channel(stream)
}

// request is what was signed, as it is seen here.
func request(r *http.Request, body string) *signed {
	s := &signed{scheme: "http", host: r.Host, path: r.URL.EscapedPath(), body: body}
	if r.TLS != nil {
		s.scheme = "https"
	}
	// As it was written, which may have been without escapes, or with all of them.
	asSent, _, _ := strings.Cut(r.RequestURI, "?")
	for _, path := range []string{asSent, r.URL.Path, (&url.URL{Path: r.URL.Path}).EscapedPath()} {
		if strings.HasPrefix(path, "/") && path != s.path {
			s.paths = append(s.paths, path)
		}
	}
	return s
}

// check tells whether a request is the app's, of now, and complete.
func (a *application) check(s *signed, now time.Time) (fields, *refusal) {
	read := readings(s.body)
	if !slices.ContainsFunc(read, fields.complete) {
		return nil, refusedParameter
	}
	if !slices.ContainsFunc(read, func(f fields) bool { return f["oauth_consumer_key"] == a.key }) {
		return nil, refusedKey // nothing needs to be computed
	}
	f, ok := s.verify(a.secrets)
	if !ok {
		return nil, refusedSignature
	}
	switch {
	case f["oauth_consumer_key"] != a.key:
		return nil, refusedKey
	case !f.complete():
		return nil, refusedParameter
	case f["api_version"] != "1.0" || f["oauth_version"] != "" && f["oauth_version"] != "1.0":
		return nil, refusedVersion
	case !utf8.ValidString(f["message"]):
		return nil, refusedText
	case f["oauth_nonce"] == "":
		return nil, refusedNoNonce
	case !f.timely(now, a.clock):
		return nil, refusedTime
	}
	return f, nil
}

// complete tells whether there is what the API wants beside the signature.
func (f fields) complete() bool {
	_, message := f["message"]
	_, version := f["api_version"]
	return message && version
}

// store publishes a message. The nonce makes its key: the log knows, on all nodes and
// after a restart, what was published before.
func store(r *http.Request, s *endpoint.Server, channel string, f fields) *refusal {
	receipts, err := s.Hub.Publish(r.Context(), event.Batch{Events: []event.Event{{
		Channel: event.String(channel), Body: f["message"], Delivery: delivery(f),
	}}})
	switch {
	case errors.Is(err, event.ErrStoreFull):
		return refusedFull
	case err != nil:
		s.Logger.Error("a message of Tambur could not be stored", "error", err)
		return refusedStore
	case len(receipts) == 1 && receipts[0].Duplicate:
		return refusedNonce
	}
	return nil
}

// delivery is a digest of what makes a request one of a kind (RFC 5849, 3.3).
func delivery(f fields) string {
	h := sha256.New()
	for _, name := range []string{"oauth_consumer_key", "oauth_timestamp", "oauth_nonce"} {
		h.Write([]byte(strconv.Itoa(len(f[name])) + ":" + f[name]))
	}
	return "tambur:" + hex.EncodeToString(h.Sum(nil)[:16])
}

// failures counts wrong signatures by address, for a minute. The zero value is ready.
type failures struct {
	mu    sync.Mutex
	since time.Time
	of    map[netip.Addr]int
}

// maxAddresses bounds the addresses that are counted.
const maxAddresses = 10_000

func (c *failures) tooMany(a netip.Addr, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return a.IsValid() && now.Sub(c.since) < time.Minute && c.of[network(a)] >= maxFailures
}

func (c *failures) note(a netip.Addr, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.since) >= time.Minute || len(c.of) >= maxAddresses {
		c.since, c.of = now, map[netip.Addr]int{}
	}
	if a.IsValid() {
		c.of[network(a)]++
	}
}

// network is what one client can be expected to have: an IPv4 address, or the /64
// that an IPv6 client chooses its addresses from.
func network(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// refuse answers in plain text.
func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)+1))
	w.WriteHeader(status)
	io.WriteString(w, text+"\n")
}
