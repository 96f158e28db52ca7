package caddymodule

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream/access"
)

// read says what an answer means. Everything that is not clearly one of the
// others is unknown.
func (a *Auth) read(answer reply, q *question) access.Verdict {
	v := access.Verdict{Outcome: access.Denied, MaxAge: maxAge(answer.header)}
	var json *fastjson.Value
	if len(a.DenyJSON)+len(a.AllowJSON)+len(a.userPath)+len(a.listPath) > 0 {
		json, _ = fastjson.ParseBytes(answer.body)
	}
	for _, c := range a.DenyJSON {
		if json != nil && c.holds(json, q) {
			v.Cause = access.Forbidden
			return v
		}
	}
	switch status := answer.status; {
	case status >= 200 && status <= 299:
		a.readGood(&v, answer, json, q)
	case status >= 300 && status <= 399, status == http.StatusUnauthorized, status == http.StatusProxyAuthRequired:
		v.Cause = access.BadCredential // a redirect leads to a login page
	case status == http.StatusForbidden:
		v.Cause = access.Forbidden
	case status == http.StatusNotFound, status == http.StatusGone, status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		v.Cause = access.NotFound
	case status == http.StatusTooManyRequests:
		v.Outcome, v.Cause, v.RetryAfter = access.Unknown, access.Limited, retryAfter(answer.header)
	default:
		v.Outcome, v.Cause, v.RetryAfter = access.Unknown, access.Unavailable, retryAfter(answer.header)
	}
	return v
}

// readGood reads an answer that allows by its status.
func (a *Auth) readGood(v *access.Verdict, answer reply, json *fastjson.Value, q *question) {
	v.Cause = access.Forbidden
	if len(a.Status) > 0 && !slices.Contains(a.Status, answer.status) {
		return
	}
	identity := q.channel == "" && !q.list
	if json == nil && a.needsJSON(q) {
		v.Outcome, v.Cause = access.Unknown, access.Unavailable
		return
	}
	if !identity {
		for _, c := range a.AllowJSON {
			if !c.holds(json, q) {
				return
			}
		}
	}
	if q.list {
		for _, listed := range lookUp(json, a.listPath, nil) {
			if name, ok := scalarText(listed); ok {
				v.Channels = append(v.Channels, name)
			}
		}
		slices.Sort(v.Channels)
	}
	v.Outcome, v.Cause = access.Allowed, access.NoCause
	switch {
	case a.Identity != "" && !identity: // the other answer names the user
	case a.UserHeader != "":
		v.User = answer.header.Get(a.UserHeader)
	case len(a.userPath) > 0:
		if found := lookUp(json, a.userPath, nil); len(found) == 1 {
			v.User, _ = scalarText(found[0])
		}
	}
	if !isUserID(v.User) {
		v.User = ""
	}
}

// needsJSON tells whether an answer that allows by its status must be JSON to
// be understood.
func (a *Auth) needsJSON(q *question) bool {
	identity := q.channel == "" && !q.list
	namesUser := len(a.userPath) > 0 && (identity || a.Identity == "")
	return q.list || namesUser || len(a.DenyJSON) > 0 || (len(a.AllowJSON) > 0 && !identity)
}

// maxAge reads how long the backend lets its answer be used: negative not at
// all, 0 if it does not say. An age of 0 is what Rails says of everything.
func maxAge(h http.Header) (age time.Duration) {
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store":
			return -1
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				age = time.Duration(seconds) * time.Second
			}
		}
	}
	return age
}

// retryAfter reads when a backend wants to be asked again, within reason.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.ParseUint(h.Get("Retry-After"), 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, 5*time.Minute)
}
