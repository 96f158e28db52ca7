package presence

import "time"

// role is what a node has to do with telling the app. Of all nodes that can, one does,
// as long as it lives and hears the others.
type role uint8

const (
	// mute: it cannot tell.
	mute role = iota
	// ready: it can, and another node does, or will.
	ready
	// halted: it told the app, and does not hear the others now. It goes on when it
	// does, unless another has begun meanwhile.
	halted
	// telling: it does.
	telling
)

// resumeAfter is how long who was halted listens first. In that time, everybody who is
// asked has answered.
const resumeAfter = 1500 * time.Millisecond

// deafAfter is how long a node may not have heard itself until it takes itself for cut
// off. It is well within the lease: who tells has halted before others take over.
func (r *Roster) deafAfter() time.Duration { return r.cfg.Lease / 2 }

// elect sees whether this node tells the app. It gives the time to look again. Called
// with mu held.
func (r *Roster) elect(now time.Time) (next time.Time) {
	before := r.role
	switch {
	case !r.cfg.Tells:
		r.role = mute
	case !r.spread.on:
		r.role = telling
	default:
		next = r.electAmong(now)
	}
	if r.role != before {
		r.spread.alive = now // let the others know
		if t := r.teller; t != nil {
			t.turn(before, r.role)
		}
	}
	return next
}

func (r *Roster) electAmong(now time.Time) (next time.Time) {
	s := &r.spread
	if r.role == mute {
		r.role = ready
	}
	if !r.connected(now) {
		if r.role == telling {
			r.role = halted
		}
		s.hearing = time.Time{}
		return time.Time{}
	}
	if s.hearing.IsZero() {
		s.hearing, s.greeted = now, false // ask all, who may have been away as well
	}
	other, first := mute, true
	for _, n := range r.others {
		if n.role == telling && r.role == telling && n.id > r.self.id {
			continue // it will yield
		}
		other = max(other, n.role)
		s.rivals = s.rivals || r.role >= halted && n.role >= halted
		if n.role == r.role && n.id < r.self.id {
			first = false
		}
	}
	if r.role == telling {
		next = s.heard.Add(r.deafAfter())
	}
	switch {
	case other == telling:
		s.relieved = true
		r.role = ready
	case r.role == halted && first:
		if next = s.hearing.Add(resumeAfter); !next.After(now) {
			r.role, next = telling, time.Time{}
		}
	case r.role == telling && other < halted && s.rivals:
		// Another has told as well, while the two did not hear each other.
		s.rivals = false
		if r.teller != nil {
			r.teller.rival()
		}
	case r.role == ready && other != halted && first:
		// Who tells, and is not heard, halts in that time.
		if next = s.hearing.Add(r.deafAfter() + resumeAfter); !next.After(now) {
			r.role, next = telling, time.Time{}
		}
	}
	return next
}
