package access

import "time"

const (
	// outageQuestions is how many distinct questions have to fail in transport,
	// with no answer to any question in between, and outageTime for how long,
	// before the backend is taken to be out of reach.
	outageQuestions = 8
	outageTime      = time.Second
	// outagePace is how often a lane asks during an outage.
	outagePace = 50 * time.Millisecond
)

// outage is what speaks for it that the backend cannot be reached. It never
// stops questions: it only spaces them out, for each lane by itself, and any
// answer ends it.
type outage struct {
	failed map[digest]struct{} // distinct questions since the last answer, up to outageQuestions
	since  time.Time
}

// failure takes note of a question that did not reach the backend.
func (o *outage) failure(key digest, now time.Time) {
	if len(o.failed) == 0 {
		o.failed, o.since = map[digest]struct{}{}, now
	}
	if len(o.failed) < outageQuestions {
		o.failed[key] = struct{}{}
	}
}

// answered takes note of an answer, whatever it says.
func (o *outage) answered() { o.failed = nil }

// on tells whether questions are spaced out.
func (o *outage) on(now time.Time) bool {
	return len(o.failed) >= outageQuestions && now.Sub(o.since) >= outageTime
}

// holds tells until when the lane has to wait before it asks again. The zero
// time means that it need not wait.
func (o *outage) holds(l *lane, now time.Time) time.Time {
	if o.on(now) && now.Before(l.nextAt) {
		return l.nextAt
	}
	return time.Time{}
}
