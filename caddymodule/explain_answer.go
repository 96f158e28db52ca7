package caddymodule

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"
)

// why says what of an answer decides on the verdict, in the order in which read
// looks at it. The last one is what decided.
func (a *Auth) why(answer reply, q *question) (why []string) {
	say := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	json, err := fastjson.ParseBytes(answer.body)
	if err != nil {
		json = nil
	}
	for _, c := range a.DenyJSON {
		if json != nil && c.holds(json, q) {
			say("deny json %s: holds", c.shown(q))
			return why
		}
	}
	identity := q.channel == "" && !q.list
	switch status := answer.status; {
	case status >= 200 && status <= 299:
	case status >= 300 && status <= 399:
		say("status %d leads to another page, such as a login: the credentials are not accepted", status)
		return why
	case status == http.StatusUnauthorized, status == http.StatusProxyAuthRequired:
		say("status %d: the credentials are not accepted", status)
		return why
	case status == http.StatusForbidden:
		say("status %d: not allowed", status)
		return why
	case status == http.StatusNotFound, status == http.StatusGone, status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		say("status %d: there is no such channel for this client", status)
		return why
	default:
		say("status %d is neither a yes nor a no", status)
		return why
	}
	if len(a.Status) > 0 && !slices.Contains(a.Status, answer.status) {
		say("status %d is none of those that allow: %s", answer.status, strings.Trim(fmt.Sprint(a.Status), "[]"))
		return why
	}
	say("status %d may be a yes", answer.status)
	if json == nil && a.needsJSON(q) {
		say("the body is no JSON, and what is configured needs it")
		return why
	}
	if !identity {
		for _, c := range a.AllowJSON {
			if !c.holds(json, q) {
				say("allow json %s: does not hold, there is %s", c.shown(q), found(json, c.path))
				return why
			}
			say("allow json %s: holds", c.shown(q))
		}
	}
	if q.list {
		listed := slices.ContainsFunc(lookUp(json, a.listPath, nil), func(v *fastjson.Value) bool {
			name, ok := scalarText(v)
			return ok && name == q.channel
		})
		say("the list %s has %d channels, %s is%s among them", a.ListJSON, len(lookUp(json, a.listPath, nil)), strconv.Quote(q.channel),
			map[bool]string{true: "", false: " not"}[listed])
	}
	return append(why, a.whoIs(answer, json, identity)...)
}

// whoIs says where the user's id comes from.
func (a *Auth) whoIs(answer reply, json *fastjson.Value, identity bool) []string {
	switch {
	case a.Identity != "" && !identity:
	case a.UserHeader != "":
		return []string{"user header " + a.UserHeader + ": " + strconv.Quote(answer.header.Get(a.UserHeader))}
	case len(a.userPath) > 0:
		return []string{"user json " + a.UserJSON + ": there is " + found(json, a.userPath)}
	}
	return nil
}

// shown is the condition as the configuration has it, with its variables
// filled in.
func (c *Condition) shown(q *question) string {
	if c.Value == "" {
		return c.Path + " " + c.Op
	}
	hidden := *q
	hidden.client = &client{credential: credential{token: masked, password: masked}}
	return c.Path + " " + c.Op + " " + c.value.expand(&hidden, nil)
}

// found says what a path leads to.
func found(json *fastjson.Value, path []string) string {
	if json == nil {
		return "no JSON"
	}
	values := lookUp(json, path, nil)
	if len(values) == 0 {
		return "nothing"
	}
	text := string(values[0].MarshalTo(nil))
	if len(text) > 100 {
		text = text[:100] + "..."
	}
	if len(values) > 1 {
		text += fmt.Sprintf(" and %d more", len(values)-1)
	}
	return text
}
