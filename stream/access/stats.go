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
	Refused    uint64 // Checks not asked: too many wait, or the backend is out of reach
	Blocked    uint64 // Checks not asked: too many bad credentials came from their address
	GivenUp    uint64 // questions given up because they took long and others waited

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
	questions, rechecks, failures, panics, remembered, shared, refused, blocked, givenUp uint64
}

// Stats is cheap enough for every scrape.
func (g *Gate) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Stats{
		Questions: g.counts.questions, Rechecks: g.counts.rechecks, Failures: g.counts.failures,
		Panics: g.counts.panics, Remembered: g.counts.remembered, Shared: g.counts.shared, Refused: g.counts.refused,
		Blocked: g.counts.blocked, GivenUp: g.counts.givenUp,
		InFlight: len(g.asking.clients.running) + len(g.asking.rechecks.running), Waiting: g.asking.waiting.length, Cached: g.cache.len(),
		Watched: len(g.watches.byKey), Watchers: g.watches.watchers,
	}
	if oldest := g.watches.mostOverdue(); !oldest.IsZero() {
		s.Behind = max(0, time.Since(oldest))
	}
	return s
}
