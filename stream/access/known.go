package access

import "time"

// knownFor is for how long at least a credential that was good is known to be.
const knownFor = 30 * time.Minute

// known remembers which credentials were good lately, and whose they are, for
// longer than any verdict is: whoever has one is not shut out by what else comes
// from the same address, and is found when something is revoked for a user. It
// keeps two generations and drops the older one when the younger is full or
// old. The gate's lock guards it.
type known struct {
	limit      int // of each generation
	young, old map[digest]string
	began      time.Time // of the young generation
}

// good says that the backend accepted the credential. An empty user changes
// nothing of what is known about whose it is.
func (k *known) good(credential digest, user string, now time.Time) {
	if now.Sub(k.began) >= knownFor || len(k.young) >= k.limit {
		k.old, k.young, k.began = k.young, map[digest]string{}, now
	}
	if user == "" {
		user, _ = k.user(credential)
	}
	k.young[credential] = user
}

// bad says that the backend did not accept it.
func (k *known) bad(credential digest) {
	delete(k.young, credential)
	delete(k.old, credential)
}

// user tells whose credential it is, as far as that was said, and whether it
// was good.
func (k *known) user(credential digest) (user string, good bool) {
	if user, good = k.young[credential]; good {
		return user, true
	}
	user, good = k.old[credential]
	return user, good
}
