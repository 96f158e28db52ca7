package webhook

import "net/http"

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
