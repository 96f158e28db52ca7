package caddymodule

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// flowdockEndpoint serves GET /flows?filter= and /flows/{org}/{flow}, as
// Flowdock's streaming API had them (flowdock/api-docs docs/streaming.md).
// Flowdock's REST API has the same paths: what has no filter and no user, or
// asks for the list with its users, is the backend's.
type flowdockEndpoint struct {
	prefix      []string
	title       string
	maxChannels int
}

func (*flowdockEndpoint) name() string    { return "flowdock" }
func (e *flowdockEndpoint) realm() string { return e.title }

func (e *flowdockEndpoint) claims(line requestLine, r *http.Request) claim {
	method := r.Method
	if method == http.MethodOptions {
		// a preflight asks for another request
		if asked := r.Header.Get("Access-Control-Request-Method"); asked != "" {
			method = asked
		}
	}
	if method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions {
		return notOurs
	}
	switch {
	case isRESTQuery(r.URL.RawQuery):
		return notOurs
	case e.matches(line.segments):
		return ours
	case slices.ContainsFunc(line.loose, e.matches):
		return crooked
	}
	return notOurs
}

// matches: /flows, /flows/ and /flows/{org}/{flow}, the last with or without a
// trailing slash.
func (e *flowdockEndpoint) matches(segments []string) bool {
	rest, ok := under(segments, e.prefix)
	if !ok || len(rest) == 0 || rest[0] != "flows" {
		return false
	}
	switch len(rest) {
	case 1, 3:
		return rest[len(rest)-1] != ""
	case 2, 4:
		return rest[len(rest)-1] == ""
	}
	return false
}

// isRESTQuery tells the REST API's list (GET /flows?users=1) from a stream.
func isRESTQuery(raw string) bool {
	for pair := range strings.SplitSeq(raw, "&") {
		if key, _, _ := strings.Cut(pair, "="); key == "users" {
			return true
		}
	}
	return false
}

func (e *flowdockEndpoint) ask(line requestLine, r *http.Request) (ask, *refusal) {
	a := ask{formatName: flowdockFormat(r.Header, "")}
	query, err := readQuery(r.URL.RawQuery, append([]string{"filter", "user", "active", "accept"}, fromParameters...)...)
	if err != nil {
		return a, badRequest("the query is not in canonical form")
	}
	a.formatName = flowdockFormat(r.Header, query["accept"])
	a.private = truthy(query["user"])

	filter := splitFilter(r.URL.RawQuery)
	if rest, _ := under(line.segments, e.prefix); len(rest) > 2 {
		filter = append(filter, rest[1]+"/"+rest[2])
	}
	for _, entry := range filter {
		if !event.ValidChannel(entry) {
			return a, badRequest("filter holds something that is no flow")
		}
		if !slices.Contains(a.channels, entry) {
			a.channels = append(a.channels, entry)
		}
		if len(a.channels) > e.maxChannels {
			return a, badRequest("filter may hold " + strconv.Itoa(e.maxChannels) + " flows at most")
		}
	}
	if len(a.channels) == 0 && !a.private {
		return a, badRequest("filter or user needs to be set")
	}
	var re *refusal
	a.from, re = readFrom(r.Header, query)
	return a, re
}

// splitFilter lists the names in the filter of a query that readQuery has read:
// there is one filter at most. The API's own clients write the commas between
// names plainly, or escaped like everything else in the filter. So if there are
// plain commas, only those separate names, and an escaped one is part of a name;
// otherwise the escaped ones separate. A lone name with a comma is written with
// a plain comma behind it: filter=a%2Cb,
func splitFilter(rawQuery string) []string {
	var names []string
	for pair := range strings.SplitSeq(rawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key, err := url.QueryUnescape(key); err != nil || key != "filter" {
			continue
		}
		if strings.Contains(value, ",") {
			for entry := range strings.SplitSeq(value, ",") {
				if entry, err := url.QueryUnescape(entry); err == nil && entry != "" {
					names = append(names, entry)
				}
			}
			continue
		}
		value, err := url.QueryUnescape(value)
		if err != nil {
			continue
		}
		for entry := range strings.SplitSeq(value, ",") {
			// "filter=" is that of a bot that has joined no flow yet.
			if entry = strings.TrimSpace(entry); entry != "" {
				names = append(names, entry)
			}
		}
	}
	return names
}

// flowdockFormat chooses by the accept parameter, else by the Accept header:
// JSON if nothing is asked. The more wanted wins, of equals the first.
func flowdockFormat(header http.Header, parameter string) string {
	accept := parameter
	if accept == "" {
		accept = strings.Join(header.Values("Accept"), ",")
	}
	best, chosen := 0.0, flowdockJSON
	for element := range strings.SplitSeq(accept, ",") {
		mediaType, parameters, _ := strings.Cut(element, ";")
		var kind string
		switch strings.ToLower(strings.TrimSpace(mediaType)) {
		case "text/event-stream":
			kind = eventStream
		case "application/json", "*/*", "application/*":
			kind = flowdockJSON
		default:
			continue
		}
		if q := quality(parameters); q > best {
			best, chosen = q, kind
		}
	}
	return chosen
}

// quality reads the q of an Accept element; 1 if it has none.
func quality(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if strings.EqualFold(key, "q") {
			q, err := strconv.ParseFloat(value, 64)
			if err != nil || q < 0 || q > 1 {
				return 0
			}
			return q
		}
	}
	return 1
}

// explain answers with a JSON object: flowdock-stream parses error bodies and
// throws on anything else.
func (*flowdockEndpoint) explain(re *refusal) (contentType, body string) {
	var a fastjson.Arena
	o := a.NewObject()
	o.Set("message", a.NewString(re.message))
	return "application/json", o.String()
}
