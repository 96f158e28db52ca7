package access

import "time"

// maxRevocations bounds how many are remembered one by one.
const maxRevocations = 4096

// revocations remembers what was revoked, for as long as a verdict from before
// could still be believed. A revocation does not search the cache: whoever is
// about to use a verdict asks here whether it is outdated. Not safe for concurrent
// use: the gate's lock guards it.
type revocations struct {
	latest map[revoked]revocation
	// credentials are those of which something was revoked, whosoever they are.
	credentials map[digest]revocation
	// users is the tick of the latest one that was for a user in all channels.
	users uint64
	// floor outdates everything before it.
	floor uint64
}

// revoked is what a revocation is of: a user in a channel, a user in all
// channels (channel empty), or a channel for all users (user empty). With
// anybody, it is a channel for some users.
type revoked struct {
	user, channel string
	anybody       bool
}

type revocation struct {
	tick  uint64
	until time.Time // from then on, no verdict from before it is left
}

// add remembers a revocation.
func (r *revocations) add(user, channel string, now stamp, keep time.Duration) {
	if user == "" && channel == "" {
		r.floor = now.tick
		r.latest, r.credentials = nil, nil
		return
	}
	if len(r.latest)+2 > maxRevocations {
		r.forget(now)
	}
	if r.latest == nil {
		r.latest = map[revoked]revocation{}
	}
	entry := revocation{now.tick, now.at.Add(keep)}
	r.latest[revoked{user: user, channel: channel}] = entry
	if channel == "" {
		r.users = now.tick
	} else {
		r.latest[revoked{channel: channel, anybody: true}] = entry
	}
}

// addCredential remembers a revocation of what a credential is allowed.
func (r *revocations) addCredential(credential digest, now stamp, keep time.Duration) {
	if len(r.credentials) >= maxRevocations {
		r.forget(now)
	}
	if r.credentials == nil {
		r.credentials = map[digest]revocation{}
	}
	r.credentials[credential] = revocation{now.tick, now.at.Add(keep)}
}

// forget makes room: first what no longer matters, else everything, at the
// price of outdating all verdicts so far.
func (r *revocations) forget(now stamp) {
	for what, entry := range r.latest {
		if !now.at.Before(entry.until) {
			delete(r.latest, what)
		}
	}
	for credential, entry := range r.credentials {
		if !now.at.Before(entry.until) {
			delete(r.credentials, credential)
		}
	}
	if len(r.latest) > maxRevocations/2 || len(r.credentials) > maxRevocations/2 {
		r.floor = now.tick
		r.latest, r.credentials = nil, nil
	}
}

// outdated tells whether something was revoked after the tick at which a verdict
// on the channel was asked for. A verdict that named no user may be
// about anybody.
func (r *revocations) outdated(user, channel string, tick uint64) bool {
	if r.floor > tick || r.latest[revoked{channel: channel}].tick > tick {
		return true
	}
	if user == "" {
		return r.users > tick || r.latest[revoked{channel: channel, anybody: true}].tick > tick
	}
	return r.latest[revoked{user: user, channel: channel}].tick > tick || r.latest[revoked{user: user}].tick > tick
}
