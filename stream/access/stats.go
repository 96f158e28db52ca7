package access

import "time"

// Stats are a gate's counts since New, and its sizes now.
type Stats struct {
	Questions  uint64 // put to the backend, re-checks included
	Rechecks   uint64 // of these, re-checks
	Failures   uint64 // of these, without an answer
	Panics     uint64 // of these, because the Asker panicked
	Remembered uint64 // Checks answered from memory
	Shared     uint64 // Checks that waited for another's question
	Refused    uint64 // Checks not asked: too many wait, or the backend is down

	InFlight int // questions with the backend
	Waiting  int // questions that wait for their turn
	Cached   int // verdicts remembered
	Watched  int // questions asked again and again
	Watchers int // who waits for their answers
	// Behind is how long the most overdue re-check has been waiting; seconds
	// mean that the backend does not answer as fast as the cadence needs.
	Behind time.Duration
}

type counts struct {
	questions, rechecks, failures, panics, remembered, shared, refused uint64
}

// Stats is cheap enough for every scrape.
func (g *Gate) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Stats{
		Questions: g.counts.questions, Rechecks: g.counts.rechecks, Failures: g.counts.failures,
		Panics: g.counts.panics, Remembered: g.counts.remembered, Shared: g.counts.shared, Refused: g.counts.refused,
		InFlight: g.asking.inFlight, Waiting: len(g.asking.waiting), Cached: g.cache.len(),
		Watched: len(g.watches.byKey), Watchers: g.watches.watchers,
	}
	if len(g.watches.queue) > 0 {
		s.Behind = max(0, time.Since(g.watches.queue[0].due))
	}
	return s
}
