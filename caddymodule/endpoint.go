package caddymodule

import (
	"net/http"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream"
)

// endpoint is one kind of client: which requests are its, what they ask for,
// and in which words it is refused. Endpoints hold no state.
type endpoint interface {
	// name is what configuration, logs and metrics call it.
	name() string
	// claims tells whether a request is for this endpoint, by its line and
	// method alone. What nobody claims is the next handler's.
	claims(line requestLine, r *http.Request) claim
	// ask reads what a claimed request wants. The formatName of the ask is set
	// also when it is refused, so that the refusal is in the right language.
	ask(line requestLine, r *http.Request) (ask, *refusal)
	// explain makes the body of a refusal, in the client's language.
	explain(re *refusal) (contentType, body string)
	// realm is what a browserless client is asked to log in to.
	realm() string
}

// claim is what an endpoint says of a request.
type claim uint8

const (
	notOurs  claim = iota
	ours           // a stream, a preflight, or a method that we refuse
	crooked        // would be ours if its line were canonical: refused
	declined       // ours by path, with a method that only streams may not have
)

// ask is what a stream request wants.
type ask struct {
	formatName string
	channels   []string
	private    bool // the user's private channel as well
	from       stream.From
}

// Names of the formats, as the format package has them.
const (
	campfireJSON = "campfire-json"
	campfireXML  = "campfire-xml"
	flowdockJSON = "flowdock-json"
	eventStream  = "sse"
)

// fromParameters are the query parameters that say where a stream begins.
var fromParameters = []string{"lastEventId", "cursor", "since_message_id", "catchup", "on_gap"}

// maxCatchup bounds how far back a client may ask.
const maxCatchup = 31 * 24 * time.Hour

// readFrom reads where a stream shall begin. An empty value is none: Go's
// eventsource sends an empty Last-Event-ID on its first connect. The header is
// newer than the query, which a polyfill keeps from its first connect.
func readFrom(header http.Header, query map[string]string) (stream.From, *refusal) {
	// The id of a message that has none of its own is its cursor, which the
	// hub knows to tell apart.
	from := stream.From{Cursor: header.Get("Last-Event-ID"), MessageID: query["since_message_id"]}
	for _, parameter := range []string{"lastEventId", "cursor"} {
		if from.Cursor == "" {
			from.Cursor = query[parameter]
		}
	}
	switch query["on_gap"] {
	case "", "live":
	case "oldest":
		from.Oldest = true
	default:
		return from, badRequest("on_gap is live or oldest")
	}
	if catchup := query["catchup"]; catchup != "" {
		since, err := time.ParseDuration(catchup)
		if err != nil || since <= 0 || since > maxCatchup {
			return from, badRequest("catchup is a time like 30m, 6h or 12h")
		}
		from.Since = since
	}
	return from, nil
}

// truthy reads a switch in a query as the services did: 1, true, on.
func truthy(value string) bool {
	switch strings.ToLower(value) {
	case "", "0", "false", "off", "no":
		return false
	}
	return true
}
