package caddymodule

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// refusal is why a stream is not opened. Its message is for the client's
// owner: a constant of ours or a name that the configuration gave, never what
// the client or the backend sent.
type refusal struct {
	status  int
	message string
	// passing: the trouble will pass, the client shall come back by itself.
	passing bool
	// after is when to come back; 0 if the client is to decide.
	after time.Duration
	// reason is what metrics and logs call it.
	reason string
}

func badRequest(message string) *refusal {
	return &refusal{status: http.StatusBadRequest, message: message, reason: "bad-request"}
}

// The refusals that say the same to everybody.
var (
	refusedLine     = badRequest("the address is not in canonical form")
	refusedMethod   = &refusal{status: http.StatusMethodNotAllowed, message: "streams are opened with GET", reason: "method"}
	refusedLogin    = &refusal{status: http.StatusUnauthorized, message: "token or password not accepted", reason: "unauthenticated"}
	refusedAccess   = &refusal{status: http.StatusForbidden, message: "you may not listen here", reason: "denied"}
	refusedUnknown  = &refusal{status: http.StatusNotFound, message: "there is no such room or flow for you", reason: "not-found"}
	refusedOrigin   = &refusal{status: http.StatusForbidden, message: "pages of this origin may not listen here", reason: "origin"}
	refusedLoop     = &refusal{status: http.StatusLoopDetected, message: "the backend leads back to this server", reason: "loop"}
	refusedIdentity = &refusal{status: http.StatusForbidden, message: "the backend does not say who you are, so there are no private messages", reason: "no-identity"}
)

// unavailable is the refusal while the backend or the store cannot be asked.
func unavailable(after time.Duration) *refusal {
	return &refusal{
		status: http.StatusServiceUnavailable, message: "the service cannot say now whether you may listen",
		passing: true, after: max(after, time.Second), reason: "unavailable",
	}
}

// tooMany is the refusal over a limit. By policy, waiting does not help: the
// client asks for more than it may.
func tooMany(limit string, policy bool, after time.Duration) *refusal {
	re := &refusal{
		status: http.StatusTooManyRequests, message: "too many streams",
		passing: !policy, after: max(after, time.Second), reason: "limit-" + limit,
	}
	if !policy {
		re.status = http.StatusServiceUnavailable
	}
	return re
}

// refuse writes a refusal. Browsers give up an EventSource for good on any
// status but 200, so a client of server-sent events is told about trouble that
// will pass by a stream that only says when to come back.
func refuse(w http.ResponseWriter, r *http.Request, e endpoint, formatName string, re *refusal) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the address may hold a token
	if formatName == eventStream && re.passing {
		h.Set("Content-Type", "text/event-stream")
		h.Set("X-Accel-Buffering", "no")
		h.Set("Connection", "close")
		w.WriteHeader(http.StatusOK)
		if r.Method != http.MethodHead {
			io.WriteString(w, "retry: "+strconv.FormatInt(re.after.Milliseconds(), 10)+"\n\n")
		}
		return
	}
	if re.after > 0 {
		h.Set("Retry-After", strconv.Itoa(int((re.after+time.Second-1)/time.Second)))
	}
	switch re.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", challenge(r, e.realm()))
	case http.StatusMethodNotAllowed:
		h.Set("Allow", "GET, HEAD, OPTIONS")
	}
	contentType, body := e.explain(re)
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(re.status)
	if r.Method != http.MethodHead {
		io.WriteString(w, body)
	}
}

// challenge is the value of WWW-Authenticate. Old .NET clients only send their
// credentials after a Basic challenge; in a browser the same would open a
// dialog on top of the page, so browsers get a Bearer challenge.
func challenge(r *http.Request, realm string) string {
	browser := r.Header.Get("Cookie") != ""
	for _, name := range []string{"Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-Dest", "Origin"} {
		browser = browser || r.Header.Get(name) != ""
	}
	if browser {
		return "Bearer realm=" + strconv.Quote(realm)
	}
	return "Basic realm=" + strconv.Quote(realm)
}
