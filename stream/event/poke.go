package event

// A Poke says that something may be new in a channel that whoever noticed it cannot
// bring itself: an answer of the app that could not be read, a message without its
// text, a doorbell.
type Poke struct {
	// Channel is where something may be new, in any form of its name. Empty: it is
	// not known where; then it concerns every channel that somebody listens to.
	Channel string
	// Why says what was noticed, for people. A constant text.
	Why string
}

// A Poker looks into the app itself when it is poked. Safe for concurrent use.
type Poker interface {
	// Poke has the channel read soon, and returns at once. Pokes may be many: they
	// are coalesced. taken tells whether that channel is one that is read; then the
	// Poker also owes the listeners a Gap if it cannot be read. Otherwise whoever
	// poked tells them, if it cannot bring what is new.
	Poke(p Poke) (taken bool)
}
