package access

import (
	"context"
	"time"
)

// Revocation is what Revoke has started.
type Revocation struct {
	gate    *Gate
	tick    uint64
	watches []*watch // that are asked about because of it
}

// Revoke says that something changed for the user, in the channel if one is
// named; with no user, for everybody in the channel. What is remembered of
// them counts no more, and streams of theirs are asked about at once, ahead of
// all other re-checks. It denies nothing by itself: who sends a wrong one costs
// a question.
//
// Where the backend has not said whose a stream is, it may be the user's: it is
// asked about as well.
func (g *Gate) Revoke(user, channel string) *Revocation {
	g.mu.Lock()
	now := g.stamp()
	g.revoked.add(user, channel, now, g.keepRevocations())
	r := &Revocation{gate: g, tick: now.tick}
	ask := func(w *watch) {
		g.hasten(w)
		r.watches = append(r.watches, w)
	}
	switch {
	case channel != "":
		for w := range g.watches.byChannel[channel] {
			if user == "" || w.user == "" || w.user == user {
				ask(w)
			}
		}
	case user != "":
		for w := range g.watches.byUser[user] {
			ask(w)
		}
		for w := range g.watches.byUser[""] {
			ask(w)
		}
	default:
		for _, w := range g.watches.byKey {
			ask(w)
		}
	}
	g.mu.Unlock()
	g.nudge()
	return r
}

// RevokeCredential says that something changed for who has the credential: it has
// signed out, or left a channel. It is Revoke for one credential, whosoever it is.
func (g *Gate) RevokeCredential(c Credential) *Revocation {
	credential := g.key.credential(c)
	g.mu.Lock()
	now := g.stamp()
	g.revoked.addCredential(credential, now, g.keepRevocations())
	r := &Revocation{gate: g, tick: now.tick}
	for _, w := range g.watches.byKey {
		if w.credential == credential {
			g.hasten(w)
			r.watches = append(r.watches, w)
		}
	}
	g.mu.Unlock()
	g.nudge()
	return r
}

// keepRevocations is how long a verdict from before a revocation may live: no longer
// than the longest lifetime, and that begins when the question is put. The gate is
// locked.
func (g *Gate) keepRevocations() time.Duration {
	return max(g.config.Allowed, g.config.Denied, g.config.BadCredential) + 2*g.config.Timeout
}

// Questions is how many questions are put to the backend because of it.
func (r *Revocation) Questions() int { return len(r.watches) }

// Wait returns when the backend has answered all of the questions, and who is
// denied has been told; or when ctx ends. left is how many are not answered:
// they are put again and again until they are, or until the grace is over. Call
// it once.
func (r *Revocation) Wait(ctx context.Context) (left int) {
	g := r.gate
	for {
		g.mu.Lock()
		for len(r.watches) > 0 && g.settled(r.watches[len(r.watches)-1], r.tick) {
			r.watches = r.watches[:len(r.watches)-1]
		}
		if len(r.watches) == 0 || ctx.Err() != nil || g.closed {
			for _, w := range r.watches {
				if !g.settled(w, r.tick) {
					left++
				}
			}
			g.mu.Unlock()
			return left
		}
		if g.landed == nil {
			g.landed = make(chan struct{})
		}
		landed := g.landed
		g.mu.Unlock()
		select {
		case <-landed:
		case <-ctx.Done():
		case <-g.ctx.Done():
		}
	}
}

// settled tells whether the watch has ended, or was allowed by an answer from
// after the tick. The gate is locked.
func (g *Gate) settled(w *watch, tick uint64) bool {
	return g.watches.byKey[w.key] != w || w.allowed.tick > tick
}

// hasten has the watch asked about as soon as there is a slot. An answer that is
// on its way already may be too old; see settle. The gate is locked.
func (g *Gate) hasten(w *watch) {
	w.revoked = g.stamp().tick
	g.watches.reschedule(w, w.soon())
}

// soon is the earliest time to ask again: now, but not twice within the pause,
// so that a storm of revocations is no storm of questions.
func (w *watch) soon() time.Time {
	now := time.Now()
	if again := w.asked.Add(pause); again.After(now) {
		return again
	}
	return now
}
