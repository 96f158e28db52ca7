package forwardauth

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream/access"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// judgement is an answer on its way to a verdict.
type judgement struct {
	*request
	answer *reply
	json   *fastjson.Value // of the body; nil if it is none, or nobody needs it
	known  variables
	trace  *Trace
}

// judge says what an answer means. What is not clearly a yes or a no is
// unknown. Every decision leaves a step in the trace; the last one counts.
func (a *Auth) judge(answer *reply, r *request, t *Trace) access.Verdict {
	j := &judgement{request: r, answer: answer, known: variables{r.channel, &r.client.Credential}, trace: t}
	if c := &a.config; len(c.DenyJSON)+len(c.AllowJSON)+len(a.userPath)+len(a.listPath) > 0 {
		j.json, _ = fastjson.ParseBytes(answer.body)
	}
	v := access.Verdict{Outcome: access.Denied, MaxAge: maxAge(answer.header)}
	switch {
	case j.denied():
		v.Cause = access.Forbidden
	case answer.status >= 200 && answer.status <= 299:
		j.good(&v)
	default:
		v.Outcome, v.Cause = byStatus(answer.status, t)
		if v.Outcome == access.Unknown {
			v.RetryAfter = retryAfter(answer.header)
		}
	}
	return v
}

// denied tells whether a condition of deny holds.
func (j *judgement) denied() bool {
	for _, c := range j.auth.config.DenyJSON {
		if j.json != nil && c.holds(j.json, j.known) {
			j.trace.step("deny json %s: holds", c.shown(j.known))
			return true
		}
	}
	return false
}

// byStatus says what an answer means that is not good by its status.
func byStatus(status int, t *Trace) (access.Outcome, access.Cause) {
	switch {
	case status >= 300 && status <= 399:
		t.step("status %d leads to another page, such as a login: the credentials are not accepted", status)
		return access.Denied, access.BadCredential
	case status == http.StatusUnauthorized, status == http.StatusProxyAuthRequired:
		t.step("status %d: the credentials are not accepted", status)
		return access.Denied, access.BadCredential
	case status == http.StatusForbidden:
		t.step("status %d: not allowed", status)
		return access.Denied, access.Forbidden
	case status == http.StatusNotFound, status == http.StatusGone, status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		t.step("status %d: there is no such channel for this client", status)
		return access.Denied, access.NotFound
	}
	t.step("status %d is neither a yes nor a no", status)
	if status == http.StatusTooManyRequests {
		return access.Unknown, access.Limited
	}
	return access.Unknown, access.Unavailable
}

// good reads an answer that allows by its status.
func (j *judgement) good(v *access.Verdict) {
	c := &j.auth.config
	v.Cause = access.Forbidden
	if len(c.Status) > 0 && !slices.Contains(c.Status, j.answer.status) {
		j.trace.step("status %d is none of those that allow: %s", j.answer.status, strings.Trim(fmt.Sprint(c.Status), "[]"))
		return
	}
	j.trace.step("status %d may be a yes", j.answer.status)
	if j.json == nil && j.needsJSON() {
		j.trace.step("the body is no JSON, and what is configured needs it")
		v.Outcome, v.Cause = access.Unknown, access.Unavailable
		return
	}
	if !j.allowed() {
		return
	}
	if j.list {
		v.Channels = j.listed()
	}
	v.Outcome, v.Cause = access.Allowed, access.NoCause
	v.User = j.user()
}

// identity tells whether the question was who the client is.
func (j *judgement) identity() bool { return j.channel == "" && !j.list }

// allowed tells whether all conditions of allow hold.
func (j *judgement) allowed() bool {
	if j.identity() {
		return true
	}
	for _, c := range j.auth.config.AllowJSON {
		if !c.holds(j.json, j.known) {
			j.trace.step("allow json %s: does not hold, there is %s", c.shown(j.known), found(j.json, c.path))
			return false
		}
		j.trace.step("allow json %s: holds", c.shown(j.known))
	}
	return true
}

// listed are the channels of an answer that lists them all, sorted.
func (j *judgement) listed() []string {
	var names []string
	for _, element := range lookUp(j.json, j.auth.listPath, nil) {
		if name, ok := scalarText(element); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	is := "is not"
	if slices.Contains(names, j.channel) {
		is = "is"
	}
	j.trace.step("the list %s has %d channels, %q %s among them", j.auth.config.ListJSON, len(names), j.channel, is)
	return names
}

// user is the id of the client's user, empty if the answer does not say.
func (j *judgement) user() (id string) {
	c := &j.auth.config
	switch {
	case c.Identity != "" && !j.identity(): // the other answer names the user
		return ""
	case c.UserHeader != "":
		id = j.answer.header.Get(c.UserHeader)
		j.trace.step("user header %s: %q", c.UserHeader, id)
	case len(j.auth.userPath) > 0:
		if values := lookUp(j.json, j.auth.userPath, nil); len(values) == 1 {
			id, _ = scalarText(values[0])
		}
		j.trace.step("user json %s: there is %s", c.UserJSON, found(j.json, j.auth.userPath))
	}
	if event.CheckUser(id) != nil {
		return ""
	}
	return id
}

// needsJSON tells whether an answer that allows by its status must be JSON to
// be understood.
func (j *judgement) needsJSON() bool {
	c := &j.auth.config
	namesUser := len(j.auth.userPath) > 0 && (j.identity() || c.Identity == "")
	return j.list || namesUser || len(c.DenyJSON) > 0 || (len(c.AllowJSON) > 0 && !j.identity())
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
