package endpoint

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
	"github.com/seed-078801ba/sidestream/stream/presence"
)

// Flowdock says where the Flowdock streams are: GET /flows?filter= and
// /flows/{org}/{flow}, as JSON or as server-sent events.
type Flowdock struct {
	Place
	// OpaqueIDs takes `org:flow` as a name of its own, in the whole hub. Without
	// it, it is the old way to write `org/flow`.
	OpaqueIDs bool `json:"opaque_ids,omitempty"`
}

// Options implements Kind.
func (*Flowdock) Options() []string { return []string{"opaque_ids"} }

// Option implements Kind.
func (f *Flowdock) Option(_ string, args []string) error {
	if len(args) > 0 {
		return errSwitch
	}
	f.OpaqueIDs = true
	return nil
}

// Usual implements Kind.
func (*Flowdock) Usual() bool { return true }

// Heartbeat implements Kind.
func (*Flowdock) Heartbeat() time.Duration { return 15 * time.Second }

// ChannelNames implements Namer.
func (f *Flowdock) ChannelNames() event.Names { return event.Names{Flows: !f.OpaqueIDs} }

// New implements Kind.
func (f *Flowdock) New(site Site) Endpoint {
	return &flowdock{prefix: f.segments(), realm: site.Realm, maxChannels: site.MaxChannels}
}

// flowdock serves GET /flows?filter= and /flows/{org}/{flow}, as Flowdock's
// streaming API had them (flowdock/api-docs docs/streaming.md). Flowdock's REST
// API has the same paths: what has no filter and no user, or asks for the list
// with its users, is the backend's.
type flowdock struct {
	prefix      []string
	realm       string
	maxChannels int
}

// Realm implements Streaming.
func (e *flowdock) Realm() string { return e.realm }

// AnyOrigin implements Streaming: Flowdock's API let pages of all origins in.
func (*flowdock) AnyOrigin() bool { return true }

// Claims implements Endpoint.
func (e *flowdock) Claims(line Line, r *http.Request) Claim {
	method := r.Method
	if method == http.MethodOptions {
		// a preflight asks for another request
		if asked := r.Header.Get("Access-Control-Request-Method"); asked != "" {
			method = asked
		}
	}
	if method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions {
		return NotOurs
	}
	switch {
	case isRESTQuery(r.URL.RawQuery):
		return NotOurs
	case e.matches(line.segments):
		return Ours
	case slices.ContainsFunc(line.loose, e.matches):
		return Crooked
	}
	return NotOurs
}

// matches: /flows, /flows/ and /flows/{org}/{flow}, the last with or without a
// trailing slash.
func (e *flowdock) matches(segments []string) bool {
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

// Ask implements Streaming.
func (e *flowdock) Ask(line Line, r *http.Request) (Ask, *Refusal) {
	a := Ask{Format: flowdockFormat(r.Header, "")}
	query, err := readQuery(r.URL.RawQuery, append([]string{"filter", "user", "active", "presence", "accept"}, fromParameters...)...)
	if err != nil {
		return a, badRequest("the query is not in canonical form")
	}
	a.Format = flowdockFormat(r.Header, query["accept"])
	a.Private, a.Presence = truthy(query["user"]), truthy(query["presence"])
	a.State = flowdockState(query["active"])

	filter := splitFilter(r.URL.RawQuery)
	if rest, _ := under(line.segments, e.prefix); len(rest) > 2 {
		filter = append(filter, rest[1]+"/"+rest[2])
	}
	for _, entry := range filter {
		if !event.ValidChannel(entry) {
			return a, badRequest("filter holds something that is no flow")
		}
		if !slices.Contains(a.Channels, entry) {
			a.Channels = append(a.Channels, entry)
		}
		if len(a.Channels) > e.maxChannels {
			return a, badRequest("filter may hold " + strconv.Itoa(e.maxChannels) + " flows at most")
		}
	}
	if len(a.Channels) == 0 && !a.Private {
		return a, badRequest("filter or user needs to be set")
	}
	var re *Refusal
	a.From, re = readFrom(r.Header, query)
	return a, re
}

// flowdockState reads active=true|idle, in whatever case: PyFlowdock sends True.
// Without it the user looks offline (flowdock/api-docs docs/streaming.md).
func flowdockState(active string) presence.State {
	switch {
	case strings.EqualFold(active, "idle"):
		return presence.Idle
	case truthy(active):
		return presence.Active
	}
	return presence.Offline
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
func flowdockFormat(header http.Header, parameter string) format.Format {
	accept := parameter
	if accept == "" {
		accept = strings.Join(header.Values("Accept"), ",")
	}
	best, chosen := 0.0, format.Format(format.FlowdockJSON{})
	for element := range strings.SplitSeq(accept, ",") {
		mediaType, parameters, _ := strings.Cut(element, ";")
		var kind format.Format
		switch strings.ToLower(strings.TrimSpace(mediaType)) {
		case "text/event-stream":
			kind = format.SSE{}
		case "application/json", "*/*", "application/*":
			kind = format.FlowdockJSON{}
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

// Explain answers with a JSON object: flowdock-stream parses error bodies and
// throws on anything else.
func (*flowdock) Explain(re *Refusal) (contentType, body string) {
	var a fastjson.Arena
	o := a.NewObject()
	o.Set("message", a.NewString(re.Message))
	return "application/json", o.String()
}
