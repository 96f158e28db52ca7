package stream

import (
	"time"

	"github.com/seed-078801ba/sidestream/stream/conn"
)

// CloseReason is why a stream ended. The same words stand in logs and metrics.
type CloseReason string

// The reasons.
const (
	ClientGone    CloseReason = "client-gone"    // the client went away
	WriteFailed   CloseReason = "write-failed"   // the connection broke while we wrote
	SlowClient    CloseReason = "slow-client"    // it stayed behind by more than Lag
	Denied        CloseReason = "denied"         // the backend no longer lets it listen
	AccessUnknown CloseReason = "access-unknown" // the backend could not be asked for too long
	ShuttingDown  CloseReason = "shutting-down"  // the process ends
	Unresumable   CloseReason = "unresumable"    // events are missing and the client knows no word for it
	StoreFailed   CloseReason = "store-failed"   // what it has to be sent cannot be read
	Unwatchable   CloseReason = "unwatchable"    // the system refused to watch the connection
)

// Reasons lists all of them, for metrics that must exist before the first one
// happens.
var Reasons = []CloseReason{ClientGone, WriteFailed, SlowClient, Denied, AccessUnknown, ShuttingDown, Unresumable, StoreFailed, Unwatchable}

// farewell tells whether the client is told when to come back: not if it has
// gone, and not if it must not come back.
func (r CloseReason) farewell() bool {
	switch r {
	case SlowClient, AccessUnknown, ShuttingDown, Unresumable, StoreFailed:
		return true
	}
	return false
}

// Closed is the life of a stream, told when it has ended.
type Closed struct {
	Reason   CloseReason
	Format   string
	Kind     conn.Kind
	Duration time.Duration
	Events   uint64 // messages delivered
	Bytes    uint64 // written, framing included
}
