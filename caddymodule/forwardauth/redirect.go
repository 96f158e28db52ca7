package forwardauth

import (
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/seed-078801ba/sidestream/stream/access"
)

// redirect says what an answer means that leads elsewhere. Another page is a
// login page: the credentials are not accepted. The same page with another
// scheme, host, slash or language is an app that wants to be asked there, and
// says nothing of anybody's credentials. Neither does an answer that leads
// nowhere.
func (j *judgement) redirect() (access.Outcome, access.Cause) {
	status := j.answer.status
	leads := j.location()
	if leads == nil {
		j.trace.step("status %d says not where it leads, and so nothing of the credentials", status)
		j.auth.reports.unclear(j.request, status, "it does not say where it leads")
		return access.Unknown, access.Unavailable
	}
	if !samePage(leads.Path, j.path()) {
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

// samePage tells whether two paths are the same but for slashes, case, and the
// language that many apps begin their paths with.
func samePage(a, b string) bool {
	a, b = path.Clean("/"+a), path.Clean("/"+b)
	return strings.EqualFold(a, b) || strings.EqualFold(withoutLanguage(a), withoutLanguage(b))
}

// language is a first segment such as /en, /pt-BR, /zh_Hans or /es-419.
var language = regexp.MustCompile(`^/[A-Za-z]{2}([-_][A-Za-z0-9]{2,4}){0,2}(/|$)`)

// withoutLanguage is a path behind its language, if it begins with one.
func withoutLanguage(page string) string {
	if prefix := language.FindString(page); prefix != "" {
		return "/" + page[len(prefix):]
	}
	return page
}
