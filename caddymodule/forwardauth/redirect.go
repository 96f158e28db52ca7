package forwardauth

import (
	"net/url"
	"path"
	"strings"

	"github.com/seed-078801ba/sidestream/stream/access"
)

// redirect says what an answer means that leads elsewhere. Another page is a
// login page: the credentials are not accepted. The same page with another
// scheme, host or slash is an app that wants to be asked there, and says nothing
// of anybody's credentials.
func (j *judgement) redirect() (access.Outcome, access.Cause) {
	status := j.answer.status
	leads := j.location()
	if leads == nil || !samePage(leads.Path, j.path()) {
		j.trace.step("status %d leads to another page, such as a login: the credentials are not accepted", status)
		return access.Denied, access.BadCredential
	}
	// The query may repeat secrets of ours, and the path a token.
	shown := (&url.URL{Scheme: leads.Scheme, Host: leads.Host, Path: leads.Path}).String()
	shown = j.client.Credential.mask(shown)
	j.trace.step("status %d leads to the same page at another address, %s, which says nothing of the credentials: "+
		"ask the backend there, or tell it with header_up X-Forwarded-Proto or Host that it is asked as it wants", status, shown)
	j.auth.reports.redirected(j.request, status, shown)
	return access.Unknown, access.Unavailable
}

// location is where the answer leads; nil if it does not say.
func (j *judgement) location() *url.URL {
	text := j.answer.header.Get("Location")
	leads, err := url.Parse(text)
	if text == "" || err != nil {
		return nil
	}
	return (&url.URL{Scheme: "http", Host: j.host(), Path: j.path()}).ResolveReference(leads)
}

// path is the path that the backend was asked for.
func (r *request) path() string {
	switch {
	case r.secret.uri != nil:
		return r.secret.uri.Path
	case r.sent != nil:
		return r.sent.URL.Path
	}
	asked, err := url.ParseRequestURI(r.uri)
	if err != nil {
		return ""
	}
	return asked.Path
}

// host is the host that the backend was asked for.
func (r *request) host() string {
	if r.sent != nil {
		return r.sent.Host
	}
	return ""
}

// samePage tells whether two paths are the same but for slashes and case.
func samePage(a, b string) bool {
	return strings.EqualFold(path.Clean("/"+a), path.Clean("/"+b))
}
