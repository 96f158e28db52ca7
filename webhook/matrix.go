package webhook

import (
	"net/http"
	"strings"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// appservice answers the calls of Matrix's Application Service API other than
// transactions: whether a user or room exists (none does, because Sidestream
// makes up none), and ping. done is false for a transaction, which goes on.
func (h *Hook) appservice(w http.ResponseWriter, r *http.Request, s *decode.Payload) (a answer, done bool, err error) {
	// Escaped, because the name of a room may have a slash in it.
	segments := strings.Split(r.URL.EscapedPath(), "/")
	last, parent := segments[len(segments)-1], ""
	if len(segments) > 1 {
		parent = segments[len(segments)-2]
	}
	method, reply := http.MethodGet, answer{status: http.StatusNotFound, contentType: "application/json", body: []byte("{}")}
	switch {
	case parent == "transactions" && last != "":
		return a, false, nil
	case (parent == "users" || parent == "rooms") && last != "", strings.Contains(r.URL.Path, "/thirdparty/"):
	case last == "ping":
		method, reply.status = http.MethodPost, http.StatusOK
	default:
		return a, false, errNotFound
	}
	if r.Method != method {
		w.Header().Set("Allow", method)
		return a, false, errMethod
	}
	return reply, true, h.check(s, stageHead)
}
