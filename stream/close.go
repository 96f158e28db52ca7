package stream

import (
	"math/rand/v2"
	"time"

	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// CloseReason is why a stream ended. The same words stand in logs and metrics.
type CloseReason string

// The reasons.
const (
	ClientGone    CloseReason = "client-gone"    // the client went away
	ClientLeft    CloseReason = "client-left"    // the client said that it goes
	BadInput      CloseReason = "bad-input"      // the client sent what nobody understands
	Flooding      CloseReason = "flooding"       // the client said more than it may in that time
	WriteFailed   CloseReason = "write-failed"   // the connection broke while we wrote
	SlowClient    CloseReason = "slow-client"    // it stayed behind by more than Lag
	Denied        CloseReason = "denied"         // the backend no longer lets it listen
	AccessUnknown CloseReason = "access-unknown" // the backend could not be asked for too long
	ShuttingDown  CloseReason = "shutting-down"  // the process ends
	Unresumable   CloseReason = "unresumable"    // events are missing and the client knows no word for it
	StoreFailed   CloseReason = "store-failed"   // what it has to be sent cannot be read
	Kicked        CloseReason = "kicked"         // an operator has ended it
	Unwatchable   CloseReason = "unwatchable"    // the system refused to watch the connection
)

// Reasons lists all of them, for metrics that must exist before the first one
// happens.
var Reasons = []CloseReason{ClientGone, ClientLeft, BadInput, Flooding, WriteFailed, SlowClient, Denied, AccessUnknown, ShuttingDown, Unresumable, StoreFailed, Kicked, Unwatchable}

// farewell is what a client is told: when to come back, not all at once; or not
// to, if it may not listen.
func (r CloseReason) farewell() format.Farewell {
	f := format.Farewell{Reason: string(r)}
	switch r {
	case AccessUnknown, ShuttingDown, Unresumable, StoreFailed, Kicked:
		f.RetryMillis = 1000 + rand.IntN(4000)
	}
	return f
}

// code says the same in the words of a WebSocket.
func (r CloseReason) code() conn.CloseCode {
	switch r {
	case ClientLeft:
		return conn.CloseNormal
	case BadInput:
		return conn.CloseProtocol
	case Denied, Flooding:
		return conn.ClosePolicy
	case ShuttingDown:
		return conn.CloseAway
	}
	return conn.CloseTryLater
}

// Closed is the life of a stream, told when it has ended.
type Closed struct {
	Reason   CloseReason
	Format   string
	Kind     conn.Kind
	Duration time.Duration
	Events   uint64 // messages delivered
	Bytes    uint64 // written, framing included
	// Left is where the client goes on, if it got what its connection took: for
	// a Reader, or another stream.
	Left Start
}
