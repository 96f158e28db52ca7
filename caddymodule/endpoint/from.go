package endpoint

import (
	"net/http"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream"
)

// fromParameters are the query parameters that say where a stream begins.
var fromParameters = []string{"lastEventId", "cursor", "since_message_id", "catchup", "on_gap"}

// maxCatchup bounds how far back a client may ask.
const maxCatchup = 31 * 24 * time.Hour

// readFrom reads where a stream shall begin. An empty value is none: Go's
// eventsource sends an empty Last-Event-ID on its first connect. The header is
// newer than the query, which a polyfill keeps from its first connect.
func readFrom(header http.Header, query map[string]string) (stream.From, *Refusal) {
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
