package webhook

import (
	"net/http"
	"strings"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// The headers of the CloudEvents handshake (http-webhook.md 4).
const (
	requestOrigin = "WebHook-Request-Origin"
	requestRate   = "WebHook-Request-Rate"
)

// handshake allows a sender of CloudEvents to send. The callback that it may
// name is not called: no address in a request ever is.
func handshake(w http.ResponseWriter, r *http.Request) (answer, error) {
	origin, ok := one(r.Header, requestOrigin)
	if !ok || len(origin) > decode.MaxName || strings.ContainsFunc(origin, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return answer{}, badInput("a malformed " + requestOrigin)
	}
	header := w.Header()
	header.Set("Allow", http.MethodPost)
	header.Set("WebHook-Allowed-Origin", origin)
	if r.Header.Get(requestRate) != "" {
		header.Set("WebHook-Allowed-Rate", "*")
	}
	return answer{status: http.StatusOK}, nil
}
