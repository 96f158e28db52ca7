package webhook

import (
	"fmt"
	"net/http"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Outcome is what became of a delivery, for metrics and one line of log.
type Outcome struct {
	// Status is the status that was answered.
	Status int
	// Events counts what was stored; Duplicates and Conflicts what was there
	// already, with the same content or with other content.
	Events, Duplicates, Conflicts int
	// Unmapped, UnmappedFor, Dropped and Untimed are as in decode.Decoded.
	Unmapped, Dropped, Untimed int
	UnmappedFor                map[string]int
	// Revoke are the users whose access is to be asked for again. It is set
	// only after the events were published.
	Revoke []decode.Revocation
	// Poke are the channels that a pull is to read. It is set only if the delivery
	// was taken.
	Poke []string
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

// Serve takes a delivery over HTTP: it verifies, decodes, maps, publishes and
// answers. vars are the parameters of the route, unescaped. Refusals have
// neither a body nor a Content-Type. The answer is sent when the events are as
// durable as the store promises; a sender that hangs up does not stop that.
func (h *Hook) Serve(w http.ResponseWriter, r *http.Request, vars map[string]string, pub event.Publisher) Outcome {
	var out Outcome
	a, err := h.handle(w, r, vars, pub, &out)
	if err != nil {
		err = refused(err)
		a = answer{status: statusOf(err)}
		out.Err, out.Reason = err, reasonOf(err)
		if a.status == http.StatusServiceUnavailable || a.status == http.StatusInsufficientStorage {
			w.Header().Set("Retry-After", retryAfter)
		}
	}
	if h.neverRetries && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	out.Status = a.status
	a.write(w)
	return out
}

func (h *Hook) handle(w http.ResponseWriter, r *http.Request, vars map[string]string, pub event.Publisher, out *Outcome) (answer, error) {
	s := decode.NewPayload(decode.Input{Header: r.Header, Query: r.URL.RawQuery, Path: vars})
	defer s.Release()
	if a, done, err := h.beforeBody(w, r, s); done || err != nil {
		return a, err
	}
	held := hold{of: h.buffers().of}
	defer held.release()
	body, err := h.readBody(w, r, &held)
	if err != nil {
		return answer{}, err
	}
	defer body.release()
	s.In.Body = body.bytes
	a, err := h.handleBody(r, s, &held, body, pub, out)
	h.keep(r, body.bytes, out, err)
	return a, err
}

// handleBody takes a delivery whose body was read.
func (h *Hook) handleBody(r *http.Request, s *decode.Payload, held *hold, body *buffer, pub event.Publisher, out *Outcome) (a answer, err error) {
	if err := held.take(h.decoder.Cost(int64(len(body.bytes)))); err != nil {
		return answer{}, err
	}
	if err := h.check(s, stageBody); err != nil {
		return answer{}, err
	}
	if h.scheme != "none" {
		held.vouch() // from here on, somebody answers for it
	}
	if err := h.decoder.Read(s); err != nil {
		return answer{}, err
	}
	if err := held.take(s.TreeCost()); err != nil {
		return answer{}, err
	}
	if h.sender.Protocol == decode.SlackChallenge {
		if a, done, err := challenge(s); done || err != nil {
			return a, err
		}
	}
	if s.In.Delivery, err = h.delivery(r.Header); err != nil {
		return answer{}, err
	}
	decoded, err := h.decoder.Map(s)
	if err != nil {
		return answer{}, err
	}
	return h.publish(&decoded, pub, out)
}

// buffers are those for unverified deliveries, or for those that are verified by
// their head.
func (h *Hook) buffers() *buffers {
	if h.verifier.needs() == stageHead && h.scheme != "none" {
		return vouched
	}
	return h.unverified
}

// beforeBody judges what the head of a request tells. done means that the
// answer is complete.
func (h *Hook) beforeBody(w http.ResponseWriter, r *http.Request, s *decode.Payload) (a answer, done bool, err error) {
	if h.sender.Protocol == decode.CloudEventsHandshake && r.Method == http.MethodOptions && r.Header.Get(requestOrigin) != "" {
		if _, ok := h.PathSecret(); ok {
			err = h.check(s, stageHead)
		}
		if err == nil {
			a, err = handshake(w, r)
		}
		return a, true, err
	}
	if h.sender.Protocol == decode.ApplicationService {
		if a, done, err = h.appservice(w, r, s); done || err != nil {
			return a, done, err
		}
	}
	if r.Method != h.method {
		allow := h.method
		if h.sender.Protocol == decode.CloudEventsHandshake {
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
func (h *Hook) check(s *decode.Payload, at stage) error {
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

func (h *Hook) publish(decoded *decode.Decoded, pub event.Publisher, out *Outcome) (answer, error) {
	out.Unmapped, out.Dropped, out.Untimed, out.Reason = decoded.Unmapped, decoded.Dropped, decoded.Untimed, decoded.Reason
	out.UnmappedFor = decoded.UnmappedFor
	if h.reject && decoded.Unmapped > 0 {
		return answer{}, fmt.Errorf("%w: %s", errUnmapped, decoded.Reason)
	}
	var receipts []event.Receipt
	if len(decoded.Events) > 0 {
		ctx := newPatience(publishTimeout)
		defer ctx.end()
		var err error
		if receipts, err = pub.Publish(ctx, event.Batch{Events: decoded.Events}); err != nil {
			return answer{}, fmt.Errorf("publishing: %w", err)
		}
		if len(receipts) != len(decoded.Events) {
			return answer{}, fmt.Errorf("publishing: %d receipts for %d events", len(receipts), len(decoded.Events))
		}
	}
	out.Revoke, out.Poke = decoded.Revoke, decoded.Poke
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
		return answer{status: h.ack.Status, contentType: h.ack.ContentType, body: h.ackBody}, nil
	}
	a := answer{status: http.StatusOK, contentType: "application/json", body: positions(decoded, receipts)}
	if !durable {
		a.status = http.StatusAccepted
	}
	return a, nil
}
