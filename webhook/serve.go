package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Outcome is what became of a delivery, for metrics and one line of log.
type Outcome struct {
	// Status is the status that was answered.
	Status int
	// Events counts what was stored; Duplicates and Conflicts what was there
	// already, with the same content or with other content.
	Events, Duplicates, Conflicts int
	// Unmapped, Dropped and Untimed are as in Decoded.
	Unmapped, Dropped, Untimed int
	// Revoke are the users whose access is to be asked for again. It is set
	// only after the events were published.
	Revoke []Revocation
	// Reason is a constant text, fit for a label: why the delivery was
	// refused, or why its first unmapped message could not be mapped; empty if
	// all is well.
	Reason string
	// Err is set if the delivery was refused; errors.As finds the *Refusal, or
	// errors.Is the error of the Publisher.
	Err error
}

// publishTimeout bounds the wait for the store: senders wait for 3 to 10 s, and
// repeat what has no answer.
const publishTimeout = 5 * time.Second

// retryAfter is when a delivery may come again that could not be stored, in
// seconds.
const retryAfter = "5"

var (
	errMethod   = &Refusal{http.StatusMethodNotAllowed, "the method is not allowed"}
	errBrowser  = &Refusal{http.StatusForbidden, "a browser sent it on behalf of a web page"}
	errUnmapped = &Refusal{http.StatusUnprocessableEntity, "a message could not be mapped"}
	errConflict = &Refusal{http.StatusConflict, "a message contradicts an earlier one with the same id"}
	errID       = badInput("the id of the delivery is malformed")
	errNotFound = &Refusal{http.StatusNotFound, "no such address"}
)

// answer is what goes back to the sender.
type answer struct {
	status      int
	contentType string
	body        string
}

// Serve takes a delivery over HTTP: it verifies, decodes, maps, publishes and
// answers. vars are the parameters of the route, unescaped. Refusals have
// neither a body nor a Content-Type. The answer is sent when the events are as
// durable as the store promises; a sender that hangs up does not stop that.
func (h *Hook) Serve(w http.ResponseWriter, r *http.Request, vars map[string]string, pub event.Publisher) Outcome {
	var out Outcome
	a, err := h.handle(w, r, vars, pub, &out)
	if err != nil {
		a = answer{status: statusOf(err)}
		out.Err, out.Reason = err, reasonOf(err)
		if a.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", retryAfter)
		}
	}
	out.Status = a.status
	a.write(w)
	return out
}

func (a *answer) write(w http.ResponseWriter) {
	header := w.Header()
	if a.contentType == "" {
		header["Content-Type"] = nil // or net/http would guess one
	} else {
		header.Set("Content-Type", a.contentType)
	}
	if a.status != http.StatusNoContent {
		header.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if a.body != "" {
		_, _ = w.Write([]byte(a.body)) // a sender that is gone sends again
	}
}

func statusOf(err error) int {
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		return refusal.Status
	case errors.Is(err, event.ErrStoreFull):
		return http.StatusInsufficientStorage
	}
	return http.StatusServiceUnavailable
}

func reasonOf(err error) string {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	for _, known := range []error{event.ErrStoreFull, event.ErrUnavailable, event.ErrBusy, event.ErrClosed} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "the store did not say whether it took the events"
}

func (h *Hook) handle(w http.ResponseWriter, r *http.Request, vars map[string]string, pub event.Publisher, out *Outcome) (answer, error) {
	s := newScope(&Input{Header: r.Header, Query: r.URL.RawQuery, Path: vars})
	defer s.release()
	if a, done, err := h.beforeBody(w, r, s); done || err != nil {
		return a, err
	}
	body, err := h.readBody(w, r)
	if err != nil {
		return answer{}, err
	}
	defer body.release()
	s.in.Body = body.Bytes()
	if err := h.check(s, stageBody); err != nil {
		return answer{}, err
	}
	if err := h.decoder.decode(s); err != nil {
		return answer{}, err
	}
	if err := h.check(s, stageDecoded); err != nil {
		return answer{}, err
	}
	if h.preset.challenge {
		if a, done, err := challenge(s); done || err != nil {
			return a, err
		}
	}
	if s.in.Delivery, err = h.delivery(r.Header); err != nil {
		return answer{}, err
	}
	decoded, err := h.decoder.mapAll(s)
	if err != nil {
		return answer{}, err
	}
	return h.publish(&decoded, pub, out)
}

// beforeBody judges what the head of a request tells. done means that the
// answer is complete.
func (h *Hook) beforeBody(w http.ResponseWriter, r *http.Request, s *scope) (a answer, done bool, err error) {
	if h.preset.handshake && r.Method == http.MethodOptions && r.Header.Get(requestOrigin) != "" {
		if _, ok := h.PathSecret(); ok {
			err = h.check(s, stageHead)
		}
		if err == nil {
			a, err = handshake(w, r)
		}
		return a, true, err
	}
	if h.preset.subtree {
		if a, done, err = h.appservice(w, r, s); done || err != nil {
			return a, done, err
		}
	}
	if r.Method != h.method {
		allow := h.method
		if h.preset.handshake {
			allow += ", OPTIONS"
		}
		w.Header().Set("Allow", allow)
		return a, false, errMethod
	}
	// A page that somebody has open must not be able to post for them.
	if !h.allowBrowser {
		site := r.Header.Get("Sec-Fetch-Site")
		if r.Header.Get("Origin") != "" || (site != "" && site != "none") {
			return a, false, errBrowser
		}
	}
	return a, false, h.check(s, stageHead)
}

// check verifies the delivery if this is the stage at which that can be done.
func (h *Hook) check(s *scope, at stage) error {
	if h.verifier.needs() != at {
		return nil
	}
	return h.verifier.verify(s, h.now())
}

// delivery is the id that a repetition of the delivery has too, if any.
func (h *Hook) delivery(header http.Header) (string, error) {
	for _, name := range h.deliveryIDs {
		switch values := header.Values(name); {
		case len(values) == 0 || (len(values) == 1 && values[0] == ""):
		case len(values) > 1 || !validDeliveryID(values[0]):
			return "", errID
		default:
			return values[0], nil
		}
	}
	return "", nil
}

func (h *Hook) publish(decoded *Decoded, pub event.Publisher, out *Outcome) (answer, error) {
	out.Unmapped, out.Dropped, out.Untimed, out.Reason = decoded.Unmapped, decoded.Dropped, decoded.Untimed, decoded.Reason
	if h.reject && decoded.Unmapped > 0 {
		return answer{}, fmt.Errorf("%w: %s", errUnmapped, decoded.Reason)
	}
	var receipts []event.Receipt
	if len(decoded.Events) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
		defer cancel()
		var err error
		if receipts, err = pub.Publish(ctx, event.Batch{Events: decoded.Events}); err != nil {
			return answer{}, fmt.Errorf("publishing: %w", err)
		}
		if len(receipts) != len(decoded.Events) {
			return answer{}, fmt.Errorf("publishing: %d receipts for %d events", len(receipts), len(decoded.Events))
		}
	}
	out.Revoke = decoded.Revoke
	durable := true
	for i := range receipts {
		durable = durable && receipts[i].Durable
		switch {
		case receipts[i].Conflict:
			out.Conflicts++
		case receipts[i].Duplicate:
			out.Duplicates++
		default:
			out.Events++
		}
	}
	if out.Conflicts > 0 && h.conflict {
		return answer{}, errConflict
	}
	if h.ack != nil {
		return answer{status: h.ack.Status, contentType: h.ack.ContentType, body: h.ack.Body}, nil
	}
	a := answer{status: http.StatusOK, contentType: "application/json", body: positions(decoded, receipts)}
	if !durable {
		a.status = http.StatusAccepted
	}
	return a, nil
}

// positions says where the events stand: {"position":"...","duplicate":false}
// for a delivery that is one message, otherwise {"events":[...]} with one entry
// for each event, in order, and how many messages are not among them.
func positions(decoded *Decoded, receipts []event.Receipt) string {
	if !decoded.Batch && len(receipts) == 1 {
		return string(appendPosition(nil, &receipts[0]))
	}
	b := []byte(`{"events":[`)
	for i := range receipts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendPosition(b, &receipts[i])
	}
	b = append(b, ']')
	for _, count := range []struct {
		name string
		n    int
	}{{"dropped", decoded.Dropped}, {"unmapped", decoded.Unmapped}} {
		if count.n > 0 {
			b = fmt.Appendf(b, `,"%s":%d`, count.name, count.n)
		}
	}
	return string(append(b, '}'))
}

func appendPosition(b []byte, r *event.Receipt) []byte {
	b = append(b, `{"position":"`...)
	b = r.Position.Append(b)
	b = append(b, `","duplicate":`...)
	b = strconv.AppendBool(b, r.Duplicate)
	return append(b, '}')
}

// challenge answers the request by which Slack finds out whether an address
// speaks its language.
func challenge(s *scope) (a answer, done bool, err error) {
	root, err := s.tree(sourceJSON, false)
	if err != nil {
		return a, false, err
	}
	kind, err := lookup(root, []step{{key: "type", index: -1}})
	if err != nil || kind == nil || fromJSON(kind).text != "url_verification" {
		return a, false, err
	}
	node, err := lookup(root, []step{{key: "challenge", index: -1}})
	if err != nil {
		return a, false, err
	}
	v := fromJSON(node)
	if v.kind != text {
		return a, false, badInput("a url_verification without a challenge")
	}
	body := append(appendJSONString([]byte(`{"challenge":`), v.text), '}')
	return answer{status: http.StatusOK, contentType: "application/json", body: string(body)}, true, nil
}

// The headers of the CloudEvents handshake (http-webhook.md 4).
const (
	requestOrigin = "WebHook-Request-Origin"
	requestRate   = "WebHook-Request-Rate"
)

// handshake allows a sender of CloudEvents to send. The callback that it may
// name is not called: no address in a request ever is.
func handshake(w http.ResponseWriter, r *http.Request) (answer, error) {
	origin, ok := one(r.Header, requestOrigin)
	if !ok || len(origin) > maxID || strings.ContainsFunc(origin, func(c rune) bool { return c <= ' ' || c > '~' }) {
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
