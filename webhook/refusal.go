package webhook

import (
	"errors"
	"net/http"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Refusal is the error of a delivery that is not taken: what to answer and,
// for the operator, why. The reason is a constant text of this package, so it
// is safe in logs and as a metric's label. The sender is told the status only,
// because many apps post the body of an answer into the chat room.
type Refusal struct {
	Status int
	Reason string
}

func (r *Refusal) Error() string { return r.Reason }

func badInput(reason string) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Reason: reason}
}

func unauthorized(reason string) *Refusal {
	return &Refusal{Status: http.StatusUnauthorized, Reason: reason}
}

func unsupported(reason string) *Refusal {
	return &Refusal{Status: http.StatusUnsupportedMediaType, Reason: reason}
}

// kindStatus answers what a decoder does not take.
var kindStatus = [...]int{
	decode.Malformed:   http.StatusBadRequest,
	decode.Unsupported: http.StatusUnsupportedMediaType,
	decode.TooLarge:    http.StatusRequestEntityTooLarge,
	decode.Unfit:       http.StatusUnprocessableEntity,
}

// refused makes a Refusal of what a decoder does not take.
func refused(err error) error {
	var unread *decode.Error
	if errors.As(err, &unread) {
		return &Refusal{kindStatus[unread.Kind], unread.Reason}
	}
	return err
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
