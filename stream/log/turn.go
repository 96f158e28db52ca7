package log

import (
	"context"
	"time"
)

// Turns is what a log that several processes share can do beside: let one of them at a
// time do something that would be done by all.
type Turns interface {
	// Turn asks for the turn to do what a name stands for, for at most a time. again:
	// it must be done even if another process has done it lately. free gives the turn
	// back; done is for how long it need not be done again, 0 if it was not done.
	Turn(ctx context.Context, name string, most time.Duration, again bool) (free func(done time.Duration), outcome TurnOutcome, err error)
}

// TurnOutcome is what became of asking for a turn.
type TurnOutcome uint8

// The outcomes.
const (
	TurnTaken TurnOutcome = iota // another process has it
	TurnMine                     // it is given
	TurnDone                     // another process has done it lately
)
