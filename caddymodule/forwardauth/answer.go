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
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// judgement is an answer on its way to a verdict.
type judgement struct {
	*request
	answer *reply
	values values // what conditions see
	trace  *Trace
}

// judge says what an answer means. What is not clearly a yes or a no is
// unknown. Every decision leaves a step in the trace; the last one counts.
func (a *Auth) judge(answer *reply, r *request, t *Trace) access.Verdict {
	j := &judgement{request: r, answer: answer, values: values{channel: r.channel, client: r.client}, trace: t}
	if len(a.deny)+len(a.allow) > 0 || a.user != nil || a.list != nil {
		j.values.json, _ = fastjson.ParseBytes(answer.body) // nil if it is none
	}
	v := access.Verdict{Outcome: access.Denied, MaxAge: maxAge(answer.header)}
	if err := j.decide(&v); err != nil {
		t.step("the answer cannot be read: %s", err)
		v.Outcome, v.Cause = access.Unknown, access.Unavailable
	}
	return v
}

// decide makes the verdict. The error says what of the answer can be read in
// two ways.
func (j *judgement) decide(v *access.Verdict) error {
	denied, err := j.denied()
	switch status := j.answer.status; {
	case err != nil:
		return err
	case denied:
		v.Cause = access.Forbidden
	case status >= 200 && status <= 299:
		return j.good(v)
	case status >= 300 && status <= 399:
		v.Outcome, v.Cause = j.redirect()
	default:
		v.Outcome, v.Cause = byStatus(status, j.trace)
		if v.Outcome == access.Unknown {
			v.RetryAfter = retryAfter(j.answer.header)
		}
	}
	return nil
}

// denied tells whether a condition of deny holds.
func (j *judgement) denied() (bool, error) {
	if j.values.json == nil {
		return false, nil
	}
	for i := range j.auth.deny {
		c := &j.auth.deny[i]
		holds, err := c.holds(&j.values)
		if err != nil {
			return false, err
		}
		if holds {
			j.trace.step("%s: holds", c.shown(j.shown()))
			return true, nil
		}
	}
	return false, nil
}

// shown is what may be shown of what conditions see.
func (j *judgement) shown() *values {
	return &values{channel: j.channel, client: j.client.hidden(), json: j.values.json}
}

// byStatus says what an answer means by its status, if that is neither good nor
// a redirect.
func byStatus(status int, t *Trace) (access.Outcome, access.Cause) {
	switch {
	case status == http.StatusUnauthorized:
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
func (j *judgement) good(v *access.Verdict) error {
	c := &j.auth.config
	v.Cause = access.Forbidden
	if len(c.Status) > 0 && !slices.Contains(c.Status, j.answer.status) {
		j.trace.step("status %d is none of those that allow: %s", j.answer.status, strings.Trim(fmt.Sprint(c.Status), "[]"))
		return nil
	}
	j.trace.step("status %d may be a yes", j.answer.status)
	if j.values.json == nil && j.needsJSON() {
		j.trace.step("the body is no JSON, and what is configured needs it")
		v.Outcome, v.Cause = access.Unknown, access.Unavailable
		return nil
	}
	allowed, err := j.allowed()
	if !allowed || err != nil {
		return err
	}
	if j.list {
		if v.Channels, err = j.listed(); err != nil {
			return err
		}
	}
	if v.User, err = j.user(); err != nil {
		return err
	}
	v.Outcome, v.Cause = access.Allowed, access.NoCause
	return nil
}

// identity tells whether the question was who the client is.
func (j *judgement) identity() bool { return j.channel == "" && !j.list }

// allowed tells whether all conditions of allow hold.
func (j *judgement) allowed() (bool, error) {
	if j.identity() {
		return true, nil
	}
	for i := range j.auth.allow {
		c := &j.auth.allow[i]
		holds, err := c.holds(&j.values)
		switch {
		case err != nil:
			return false, err
		case !holds && c.path != nil:
			found, err := c.path.Find(j.values.json)
			j.trace.step("%s: does not hold, there is %s", c.shown(j.shown()), j.quoted(found))
			return false, err
		case !holds:
			j.trace.step("%s: does not hold", c.shown(j.shown()))
			return false, nil
		}
		j.trace.step("%s: holds", c.shown(j.shown()))
	}
	return true, nil
}

// listed are the channels of an answer that lists them all, sorted.
func (j *judgement) listed() ([]string, error) {
	found, err := j.auth.list.find(&j.values)
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(slices.Values(found.Texts()))
	is := "is not"
	if slices.Contains(names, j.channel) {
		is = "is"
	}
	if j.channel == "" {
		j.trace.step("list %s: %d channels", j.auth.list.text, len(names))
	} else {
		j.trace.step("list %s: %d channels, %q %s among them", j.auth.list.text, len(names), j.channel, is)
	}
	return names, nil
}

// user is the id of the client's user, empty if the answer does not say.
func (j *judgement) user() (id string, err error) {
	c := &j.auth.config
	switch {
	case c.Identity != "" && !j.identity(): // the other answer names the user
		return "", nil
	case c.UserHeader != "":
		id = j.answer.header.Get(c.UserHeader)
		j.trace.step("user header %s: %q", c.UserHeader, id)
	case j.auth.user != nil:
		found, err := j.auth.user.find(&j.values)
		if err != nil {
			return "", err
		}
		if texts := found.Texts(); len(texts) == 1 {
			id = texts[0]
		}
		j.trace.step("user %s: there is %s", j.auth.user.text, j.quoted(found))
	}
	if event.CheckUser(id) != nil {
		return "", nil
	}
	return id, nil
}

// quoted is a value as it may be shown.
func (j *judgement) quoted(v decode.Value) string {
	if !v.Exists() {
		return "nothing"
	}
	text := j.client.Credential.mask(v.Show())
	if len(text) > 100 {
		text = strings.ToValidUTF8(text[:100], "") + "..."
	}
	return text
}

// needsJSON tells whether an answer that allows by its status must be JSON to
// be understood.
func (j *judgement) needsJSON() bool {
	namesUser := j.auth.user != nil && (j.identity() || j.auth.config.Identity == "")
	return j.list || namesUser || len(j.auth.deny) > 0 || (len(j.auth.allow) > 0 && !j.identity())
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
