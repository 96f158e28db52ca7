package caddymodule

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"
)

// flowdockEndpoint serves GET /flows?filter= and /flows/{org}/{flow}, as
// Flowdock's streaming API had them (flowdock/api-docs docs/streaming.md).
// Flowdock's REST API has the same paths: what has no filter and no user, or
// asks for the list with its users, is the backend's.
type flowdockEndpoint struct {
	prefix      []string
	title       string
	maxChannels int
	// opaqueIDs: an entry org:flow is a name of its own, not that of org/flow.
	opaqueIDs bool
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
	if line.segments != nil {
		if !e.matches(line.segments) || isRESTQuery(r.URL.RawQuery) {
			return notOurs
		}
		return ours
	}
	for _, reading := range line.loose {
		if e.matches(reading) && !isRESTQuery(r.URL.RawQuery) {
			return crooked
		}
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

	filter := strings.Split(query["filter"], ",")
	if rest, _ := under(line.segments, e.prefix); len(rest) > 2 {
		filter = append(filter, rest[1]+"/"+rest[2])
	}
	for _, entry := range filter {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue // "filter=" of a bot that has joined no flow yet
		}
		if !isChannel(entry) {
			return a, badRequest("filter holds something that is no flow")
		}
		if entry = e.canonicalFlow(entry); !slices.Contains(a.channels, entry) {
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

// canonicalFlow makes the name org/flow of an id org:flow, which is how flows
// were named in filters before 27 May 2013. Other ids with colons, such as
// Matrix rooms, are names of their own.
func (e *flowdockEndpoint) canonicalFlow(entry string) string {
	if e.opaqueIDs {
		return entry
	}
	return flowName(entry)
}

// flowName is org/flow for an id of the form org:flow, and the id otherwise.
func flowName(id string) string {
	org, flow, ok := strings.Cut(id, ":")
	if ok && isParameterized(org) && isParameterized(flow) {
		return org + "/" + flow
	}
	return id
}

// isParameterized tells whether text is what Rails' parameterize may return.
func isParameterized(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
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
