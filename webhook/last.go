package webhook

import (
	"bytes"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what a Last keeps.
const (
	lastDeliveries = 8         // of each kind
	lastBody       = 16 << 10  // of one body, in bytes
	lastAge        = time.Hour // after which a delivery is forgotten
	lastEvery      = time.Second
	lastMargin     = 4 << 10 // so that no secret is cut before it is found
)

// Masked stands for what is not shown.
const Masked = "REDACTED"

// Last keeps the newest deliveries of a webhook that were refused or held a
// message that could not be mapped, so that somebody can look at what an app
// really sends. It is bounded: 8 deliveries that were verified and 8 that were
// not, apart, so that strangers push nothing out; one a second; 16 KiB of each body;
// for an hour. Secrets are masked before anything is kept. Safe for
// concurrent use.
type Last struct {
	mu                   sync.Mutex
	verified, unverified []Delivery // oldest first
	// When the last ones were kept.
	taken, takenUnverified time.Time
}

// Delivery is one that was refused, or could not be mapped as a whole.
type Delivery struct {
	At     time.Time `json:"at"`
	Status int       `json:"status"`
	// Reason is why it was refused, or why its first unmapped message could not
	// be mapped.
	Reason string `json:"reason"`
	// Verified: it was found to come from the app.
	Verified bool `json:"verified"`
	// ContentType is that of the body. Headers are the names of all headers.
	ContentType string   `json:"content_type,omitempty"`
	Headers     []string `json:"headers,omitempty"`
	// Body is its beginning, secrets masked; Size is how long it was, in bytes.
	Body string `json:"body"`
	Size int    `json:"size"`
}

// Deliveries are what is kept now, oldest first.
func (l *Last) Deliveries() []Delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Delivery
	for _, kept := range [][]Delivery{l.verified, l.unverified} {
		for _, d := range kept {
			if time.Since(d.At) < lastAge {
				all = append(all, d)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Delivery) int { return a.At.Compare(b.At) })
	return all
}

// wants tells whether a delivery would be kept now: one a second, and of those that
// were verified as many as there is room for. To look for secrets takes time, and an
// app may send a lot that cannot be mapped.
func (l *Last) wants(verified bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := &l.takenUnverified
	if verified {
		taken = &l.taken
	}
	now := time.Now()
	if now.Sub(*taken) < lastEvery && !(verified && len(l.verified) < lastDeliveries) {
		return false
	}
	*taken = now
	return true
}

func (l *Last) add(d Delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := &l.unverified
	if d.Verified {
		kept = &l.verified
	}
	*kept = append(*kept, d)
	if n := len(*kept) - lastDeliveries; n > 0 {
		*kept = slices.Delete(*kept, 0, n)
	}
}

// KeepLast has the hook keep deliveries that are refused or cannot be mapped.
// Call it before the hook serves.
func (h *Hook) KeepLast(l *Last) { h.last = l }

// keep keeps a delivery whose body was read, if it is one to keep.
func (h *Hook) keep(r *http.Request, body []byte, out *Outcome, err error) {
	var refusal *Refusal
	if h.last == nil || err == nil && out.Unmapped == 0 {
		return
	}
	d := Delivery{At: time.Now(), Status: http.StatusOK, Reason: out.Reason, Verified: h.scheme != "none", Size: len(body)}
	if err != nil {
		if err = refused(err); !errors.As(err, &refusal) || refusal.Status >= 500 {
			return // it is not the delivery's fault
		}
		d.Status, d.Reason = refusal.Status, reasonOf(err)
		d.Verified = d.Verified && d.Status != http.StatusUnauthorized && d.Status != http.StatusForbidden
	}
	if !h.last.wants(d.Verified) {
		return
	}
	d.ContentType = r.Header.Get("Content-Type")
	for name := range r.Header {
		d.Headers = append(d.Headers, name)
	}
	slices.Sort(d.Headers)
	d.Body = h.masked(body)
	h.last.add(d)
}

// secretFields finds the values of fields that are called like a secret, in JSON
// and in forms.
var secretFields = regexp.MustCompile(`(?i)("[a-z0-9_.-]*(?:token|secret|password|passwd|api_?key|authorization|signature|session|cookie)[a-z0-9_.-]*"\s*:\s*")((?:[^"\\]|\\.)*)` +
	`|((?:^|&)[a-z0-9_.%-]*(?:token|secret|password|passwd|api_?key|authorization|signature|session|cookie)[a-z0-9_.%-]*=)([^&\s]*)`)

// masked is the beginning of a body without its secrets: the hook's own wherever
// they stand, and what is in a field whose name sounds like one.
func (h *Hook) masked(body []byte) string {
	body = body[:min(len(body), lastBody+lastMargin)]
	text := secretFields.ReplaceAllString(string(bytes.ToValidUTF8(body, []byte("\uFFFD"))), "${1}${3}"+Masked)
	for _, secret := range h.hidden {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, Masked)
		}
	}
	return text[:min(len(text), lastBody)]
}
