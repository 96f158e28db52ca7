package endpoint

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-078801ba/sidestream/stream/format"
)

// Refusal is why a stream is not opened. Its message is for the client's
// owner: a constant of ours or a name that the configuration gave, never what
// the client or the backend sent.
type Refusal struct {
	Status  int
	Message string
	// Passing: the trouble will pass, the client shall come back by itself.
	Passing bool
	// After is when to come back; 0 if the client is to decide.
	After time.Duration
	// Reason is what metrics and logs call it.
	Reason string
}

func badRequest(message string) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Message: message, Reason: "bad-request"}
}

// The refusals that say the same to everybody.
var (
	refusedLine     = badRequest("the address is not in canonical form")
	refusedMethod   = &Refusal{Status: http.StatusMethodNotAllowed, Message: "streams are opened with GET", Reason: "method"}
	refusedLogin    = &Refusal{Status: http.StatusUnauthorized, Message: "token or password not accepted", Reason: "unauthenticated"}
	refusedAccess   = &Refusal{Status: http.StatusForbidden, Message: "you may not listen here", Reason: "denied"}
	refusedUnknown  = &Refusal{Status: http.StatusNotFound, Message: "there is no such room or flow for you", Reason: "not-found"}
	refusedOrigin   = &Refusal{Status: http.StatusForbidden, Message: "pages of this origin may not listen here", Reason: "origin"}
	refusedLoop     = &Refusal{Status: http.StatusLoopDetected, Message: "the backend leads back to this server", Reason: "loop"}
	refusedIdentity = &Refusal{Status: http.StatusForbidden, Message: "the backend does not say who you are, so there are no private messages", Reason: "no-identity"}
)

// unavailable is the refusal while the backend or the store cannot be asked.
func unavailable(after time.Duration) *Refusal {
	return &Refusal{
		Status: http.StatusServiceUnavailable, Message: "the service cannot say now whether you may listen",
		Passing: true, After: max(after, time.Second), Reason: "unavailable",
	}
}

// tooMany is the refusal over a limit. By policy, waiting does not help: the
// client asks for more than it may.
func tooMany(limit string, policy bool, after time.Duration) *Refusal {
	re := &Refusal{
		Status: http.StatusTooManyRequests, Message: "too many streams",
		Passing: !policy, After: max(after, time.Second), Reason: "limit-" + limit,
	}
	if !policy {
		re.Status = http.StatusServiceUnavailable
	}
	return re
}

// refuse writes a refusal. Browsers give up an EventSource for good on any
// status but 200, so a client of server-sent events is told about trouble that
// will pass by a stream that only says when to come back.
func refuse(w http.ResponseWriter, r *http.Request, e Streaming, f format.Format, re *Refusal) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the address may hold a token
	if re.Passing && r.ProtoMajor == 1 {
		h.Set("Connection", "close") // who is refused for want of room takes none
	}
	if _, sse := f.(format.SSE); sse && re.Passing {
		h.Set("Content-Type", "text/event-stream")
		h.Set("X-Accel-Buffering", "no")
		w.WriteHeader(http.StatusOK)
		if r.Method != http.MethodHead {
			io.WriteString(w, "retry: "+strconv.FormatInt(re.After.Milliseconds(), 10)+"\n\n")
		}
		return
	}
	if re.After > 0 {
		h.Set("Retry-After", strconv.Itoa(int((re.After+time.Second-1)/time.Second)))
	}
	switch re.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", challenge(r, e.Realm()))
	case http.StatusMethodNotAllowed:
		h.Set("Allow", "GET, HEAD, OPTIONS")
	}
	contentType, body := e.Explain(re)
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(re.Status)
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
