package presence

import "time"

// run does what has its time, says what other nodes must know, and tells watchers,
// until the roster is closed.
func (r *Roster) run() {
	defer close(r.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			return
		}
		now := time.Now()
		next := r.elect(now) // first: who does not hear the others does not tell that they are gone
		next = earlier(next, r.expire(now))
		next = earlier(next, r.elect(now))
		r.settleDue(now)
		if len(r.waiting) > 0 {
			next = earlier(next, r.waiting[0].due)
		}
		demands := r.demands()
		words, more := r.words(now)
		next = earlier(next, more)
		news, more := r.news(now)
		next = earlier(next, more)
		teller := r.teller
		r.mu.Unlock()

		if len(demands) > 0 && teller != nil {
			teller.demand(demands)
		}
		for _, word := range words {
			r.bus.Publish(topic, word)
		}
		for i := range news {
			news[i].tell()
		}

		idle := time.Hour
		if !next.IsZero() {
			idle = max(time.Until(next), 0)
		}
		timer.Reset(idle)
		select {
		case <-r.wake:
		case <-timer.C:
		}
	}
}

// earlier is the earlier one of two times, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
