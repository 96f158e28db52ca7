package endpoint

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// CORS says which web pages of other origins may open streams.
//
// Without it, pages of any origin may open Flowdock streams with a token that
// they hold (as Flowdock's API allowed), but nothing that a browser adds by
// itself counts for them: no cookies. If `auth` reads cookies, or is `none`,
// pages of other origins may open nothing until they are listed here.
type CORS struct {
	// Origins are compared exactly: `https://chat.example.com`, with the port
	// if it is not the scheme's own. A single `*` stands for all, and is
	// refused where `auth` reads cookies.
	Origins []string `json:"origins,omitempty"`
}

// Validate refuses what no browser would ever send as an Origin.
func (c *CORS) Validate(cookies bool) error {
	if len(c.Origins) == 0 {
		return fmt.Errorf("cors: no origins are listed; write for example: origins https://chat.example.com")
	}
	for _, origin := range c.Origins {
		if origin == "*" {
			if len(c.Origins) > 1 {
				return fmt.Errorf("cors: origin * allows all, the others beside it mean nothing")
			}
			if cookies {
				return fmt.Errorf("cors: origin * would let every web page use the cookies of its visitors; list the origins")
			}
			continue
		}
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.String() != u.Scheme+"://"+u.Host ||
			strings.ToLower(origin) != origin || strings.Contains(origin, "*") {
			return fmt.Errorf("cors: %q is no origin; it is a scheme and a host in lower case, as in https://chat.example.com", origin)
		}
	}
	return nil
}

// Origins decides on the Origin of requests to one endpoint.
type Origins struct {
	Listed []string
	// AnyToken: pages of all origins may stream with tokens that they hold.
	AnyToken bool
	// Cookies: there are credentials that browsers send by themselves.
	Cookies bool
	// Headers are those that credentials may stand in, beside Authorization.
	Headers []string
}

// allowed tells whether a page of this origin may read answers, and whether
// the browser may send its cookies along.
func (p *Origins) allowed(origin string) (read, cookies bool) {
	switch {
	case origin == "" || origin == "null":
		return false, false
	case slices.Contains(p.Listed, origin):
		return true, p.Cookies
	}
	return p.AnyToken || slices.Contains(p.Listed, "*"), false
}

// Mark sets the CORS headers of an answer, of refusals as well: without them a
// page does not even see the status.
//
// Vary is for those that store answers, and ours say no-store. Pages of other
// origins get it all the same, as a second lock; everybody else is spared the
// header: see TestHTTP2HeadersFitASmallMap.
func (p *Origins) Mark(h http.Header, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return
	}
	h.Add("Vary", "Origin")
	read, cookies := p.allowed(origin)
	if !read {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "Stream-Resume, Stream-Refused, Retry-After, WWW-Authenticate")
	if cookies {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// preflight answers OPTIONS, without credentials as browsers ask.
func (p *Origins) preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	p.Mark(h, r)
	h.Set("Allow", "GET, HEAD, OPTIONS")
	h.Set("Cache-Control", "no-store")
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Add("Vary", "Access-Control-Request-Method")
		h.Add("Vary", "Access-Control-Request-Headers")
		h.Set("Access-Control-Allow-Methods", "POST, PUT, PATCH, DELETE, GET, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Origin, Accept, Content-type, Authorization, X-CSRF-Token, "+
			strings.Join(append([]string{"X-Requested-With, X-Prototype-Version, Last-Event-ID, Cache-Control"}, p.Headers...), ", "))
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// foreign tells whether a request with the browser's own cookies comes from a
// page that may not use them. Browsers send an Origin with every EventSource
// and fetch to another origin; Sec-Fetch-Site tells where they do not.
func (p *Origins) foreign(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		if sameOrigin(r, origin) {
			return false
		}
		_, cookies := p.allowed(origin)
		return !cookies
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return true
	}
	return false
}

// OtherSite tells whether a page made a browser ask that is neither of this site
// nor of a listed origin: what it sends is not the doing of who sits there.
func (p *Origins) OtherSite(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		return !sameOrigin(r, origin) && !slices.Contains(p.Listed, origin)
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return true
	}
	return false
}

// sameOrigin compares an Origin with the origin that the request was sent to.
func sameOrigin(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
		return false
	}
	// Behind a proxy that ends TLS the page's scheme is not ours; a page of
	// plain http is never the same as ours of https.
	return u.Scheme == "https" || (u.Scheme == "http" && r.TLS == nil)
}
