package presence

import "time"

// State is how present somebody is. A greater one counts more.
type State uint8

const (
	// Offline is absence.
	Offline State = iota
	// Idle: there, and not looking.
	Idle
	// Active: there.
	Active
)

var stateNames = [...]string{Offline: "offline", Idle: "idle", Active: "active"}

func (s State) String() string { return stateNames[min(int(s), len(stateNames)-1)] }

// Present is one user in one channel.
type Present struct {
	Channel string
	User    string
	State   State
	// Streams is how many streams the user has there, on all nodes. It is zero
	// during the grace.
	Streams int
	// Since is when the user came, by the clock of this node.
	Since time.Time
	// Changed is when the state became what it is, as far as this node knows.
	Changed time.Time
}

// Kind is what has changed.
type Kind uint8

const (
	// Joined: the user was not there before.
	Joined Kind = iota
	// Left: the user is not there any more.
	Left
	// Changed: the user has another state.
	Changed
	// Counted: only the count is told, because the channel has many users.
	Counted
	// Listed: these are all users of the channel. It comes first, and again when
	// names are told after they were only counted.
	Listed
)

var kindNames = [...]string{Joined: "joined", Left: "left", Changed: "state", Counted: "count", Listed: "snapshot", Reset: "reset"}

func (k Kind) String() string { return kindNames[min(int(k), len(kindNames)-1)] }

// Change is one thing that a watcher is told.
type Change struct {
	Kind Kind
	// Present is whom it is about. Of Counted and Listed, only the Channel is set.
	Present
	// At is when this node learned of it.
	At time.Time
	// Count is how many users the channel has then.
	Count int
	// Users are those of a Listed, in no order. Nobody may change them.
	Users []Present
}

// Config is what a Roster can be told anew while it runs. Zero values mean the
// defaults.
type Config struct {
	// Grace is how long a user may be away without being missed. Default: 15 s.
	// Below zero: not at all.
	Grace time.Duration
	// Lease is how long other nodes believe what this one claims without hearing of
	// it. Default: 15 s.
	Lease time.Duration
	// Names is up to how many users of a channel are told by name. Default: 500.
	Names int
	// Tells: this node can tell the app who is there, see Teller.
	Tells bool
}

// Defaults of Config.
const (
	DefaultGrace = 15 * time.Second
	DefaultLease = 15 * time.Second
	DefaultNames = 500

	minLease, maxLease = time.Second, 10 * time.Minute
)

func (c Config) withDefaults() Config {
	switch {
	case c.Grace == 0:
		c.Grace = DefaultGrace
	case c.Grace < 0:
		c.Grace = 0
	}
	if c.Lease <= 0 {
		c.Lease = DefaultLease
	}
	c.Lease = min(max(c.Lease, minLease), maxLease)
	if c.Names <= 0 {
		c.Names = DefaultNames
	}
	return c
}

// window is how long changes are gathered after some were told, so that a crowd
// that comes at once is told in a few pieces.
const window = 50 * time.Millisecond

// countEvery is how often the count of a channel with many users is told at most.
const countEvery = time.Second
