package caddymodule

import (
	"net/http"
	"slices"
	"strings"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
)

// places is what this handler hides in the access log: every place that its
// configuration names as that of a secret.
func (s *Sidestream) places() forwardauth.Mask {
	mask := s.auth.Mask()
	for _, h := range s.Webhooks {
		for _, name := range h.places.Query {
			mask.AddQuery(name)
		}
		for _, name := range h.places.Headers {
			mask.AddHeader(name)
		}
	}
	if s.Tambur != nil {
		mask.AddQuery("data") // the commands of a client that polls, with its tokens
	}
	return mask
}

// astray looks at a request that is none of ours. A webhook's secret may be in
// it all the same, because somebody has written the address in another way: with
// a slash too many, in other letters, escaped, or below another path. shown is
// what logs may show of the address, empty if there is nothing to hide. Where it
// cannot be meant for anybody else, refuse is true: the next handler, and the
// app's own log, must not get the secret.
func (s *Sidestream) astray(r *http.Request) (shown string, refuse bool) {
	escaped := r.URL.EscapedPath()
	if !strings.HasPrefix(r.URL.Path, "/") {
		return "", false // CONNECT, OPTIONS *: nobody's path
	}
	if !strings.HasPrefix(escaped, "/") { // handle_path has left an escaped slash
		escaped = "/" + escaped
	}
	var readings [][]string
	for _, h := range s.Webhooks {
		leaks := h.leaks(r)
		if !leaks && len(h.places.Path) == 0 {
			continue
		}
		if readings == nil {
			readings = endpoint.Readings(escaped)
		}
		if leaks && (len(h.places.Path) > 0 || slices.ContainsFunc(readings, h.isAddress)) {
			return h.shownPath(), true
		}
		if leaks { // and is a token that the app has, too, in an address of its own
			shown = forwardauth.Masked
			if path, _, _ := strings.Cut(originalURI(r), "?"); !h.holds(path, r.URL.Path) {
				shown = path + "?" + forwardauth.Masked
			}
			continue
		}
		if slices.ContainsFunc(readings, h.resembles) {
			// Below the very address the app may have pages of its own.
			shown, refuse = h.shownPath(), !h.hasBelow(escaped)
		}
	}
	return shown, refuse
}

// leadsToSecret tells whether an address that a request has beside its own, such as
// the page that a browser was on, has a webhook's secret in it.
func (s *Sidestream) leadsToSecret(address string) bool {
	var readings [][]string
	for _, h := range s.Webhooks {
		if h.holds(address, forwardauth.DecodeLoosely(address)) {
			return true
		}
		if len(h.places.Path) == 0 {
			continue
		}
		if readings == nil {
			page, _, _ := strings.Cut(address, "?")
			if _, rest, absolute := strings.Cut(page, "://"); absolute {
				_, page, _ = strings.Cut(rest, "/")
			}
			readings = endpoint.Readings(page)
		}
		if slices.ContainsFunc(readings, h.resembles) {
			return true
		}
	}
	return false
}

// isAddress tells whether a reading of a path is the webhook's address.
func (h *Webhook) isAddress(segments []string) bool {
	if len(segments) != len(h.route) {
		return false
	}
	for i, want := range h.route {
		if want.name == "" && !strings.EqualFold(segments[i], want.literal) {
			return false
		}
	}
	return true
}

// hasBelow tells whether a path is below the webhook's address as it is written.
func (h *Webhook) hasBelow(escaped string) bool {
	at := slices.IndexFunc(h.route, func(s routeSegment) bool { return slices.Contains(h.places.Path, s.name) })
	segments := strings.Split(escaped[1:], "/")
	if len(segments) <= at || slices.Contains(segments[:len(segments)-1], "") || strings.ContainsAny(escaped, `%\;`) {
		return false
	}
	for i, want := range h.route[:at] {
		if want.name == "" && segments[i] != want.literal {
			return false
		}
	}
	return true
}

// minAstray is the shortest secret that is looked for in requests that are none
// of ours, in characters: a short one may be there by chance.
const minAstray = 16

// leaks tells whether a secret of the webhook is in what logs show of a request.
func (h *Webhook) leaks(r *http.Request) bool {
	texts := []string{r.URL.Path, r.URL.RawQuery, originalURI(r)}
	if strings.Contains(r.URL.RawQuery, "%") {
		for _, values := range r.URL.Query() {
			texts = append(texts, values...)
		}
	}
	for _, name := range h.places.Headers {
		texts = append(texts, r.Header.Values(name)...)
	}
	return h.holds(texts...)
}

// holds tells whether a secret of the webhook is in one of the texts.
func (h *Webhook) holds(texts ...string) bool {
	for _, secret := range h.secrets {
		if len(secret) >= minAstray && slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, secret) }) {
			return true
		}
	}
	return false
}

// resembles tells whether a reading of a path leads to where the webhook has its
// secret, and further.
func (h *Webhook) resembles(segments []string) bool {
	at := slices.IndexFunc(h.route, func(s routeSegment) bool { return slices.Contains(h.places.Path, s.name) })
	if at < 0 || len(segments) <= at {
		return false
	}
	for i, want := range h.route[:at] {
		segment, _, _ := strings.Cut(segments[i], ";")
		if want.name == "" && !strings.EqualFold(segment, want.literal) {
			return false
		}
	}
	return segments[at] != ""
}
