package webhook

import (
	"errors"
	"net/http"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Explanation is what becomes of a delivery and why, for an operator who tries
// one out. It holds values of the payload, but no secret of the configuration.
type Explanation struct {
	// Scheme is how deliveries are verified.
	Scheme string
	// Unverified is why the delivery is not verified; empty if it is. Such a
	// delivery is explained all the same.
	Unverified string
	// Unreadable is why the payload cannot be read; empty if it can.
	Unreadable string
	// Challenge: it is no message but a question whether somebody is there,
	// which is answered with 200 and what it asks for.
	Challenge bool
	// Messages are what the payload holds, in order.
	Messages []decode.Message
	// Status and ContentType are what the sender is answered if the store takes
	// the events. A Status of 200 can be 202, where the store keeps them in
	// memory only. Answers that refuse have no body.
	Status      int
	ContentType string
	// Body is that of the answer; empty also where it says at which position
	// the events stand.
	Body string
}

// Explain does with a delivery what Serve does, but publishes nothing, and goes
// on where Serve would have refused it for where it comes from. It is as if the
// delivery had come with the method that the hook wants.
func (h *Hook) Explain(in decode.Input) Explanation {
	e := Explanation{Scheme: h.scheme}
	s := decode.NewPayload(in)
	defer s.Release()
	wrong := h.check(s, stageHead)
	if wrong == nil {
		wrong = h.check(s, stageBody)
	}
	err := h.decoder.Read(s)
	if wrong = refused(wrong); wrong != nil {
		e.Unverified = reasonOf(wrong)
	}
	if err == nil {
		err = h.explainDecoded(s, &e)
	}
	err = refused(err)
	switch {
	case wrong != nil:
		e.Status = statusOf(wrong)
	case err != nil:
		e.Status = statusOf(err)
	case e.Challenge:
		e.Status = http.StatusOK
	case h.ack != nil:
		e.Status, e.ContentType, e.Body = h.ack.Status, h.ack.ContentType, h.ack.Body
	default:
		e.Status, e.ContentType = http.StatusOK, "application/json"
	}
	if err != nil && !errors.Is(err, errUnmapped) {
		e.Unreadable, e.Messages = reasonOf(err), nil
	}
	return e
}

// explainDecoded goes through the messages of a delivery that was decoded.
func (h *Hook) explainDecoded(s *decode.Payload, e *Explanation) error {
	if h.sender.Protocol == decode.SlackChallenge {
		if _, done, err := challenge(s); done || err != nil {
			e.Challenge = done
			return err
		}
	}
	var err error
	if s.In.Delivery, err = h.delivery(s.In.Header); err != nil {
		return err
	}
	e.Messages, err = h.decoder.Explain(s)
	if err != nil || !h.reject {
		return err
	}
	for _, m := range e.Messages {
		if m.Unmapped != "" {
			return errUnmapped
		}
	}
	return nil
}
