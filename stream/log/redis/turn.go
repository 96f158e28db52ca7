package redis

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/seed-078801ba/sidestream/stream/log"
)

var (
	//go:embed turn_take.lua
	luaTakeTurn string
	//go:embed turn_free.lua
	luaFreeTurn string

	takeTurnScript = newScript(false, luaTakeTurn)
	freeTurnScript = newScript(true, luaFreeTurn)
)

// turnsKey is the key of all turns, in the slot of the log.
func (r *Log) turnsKey() []string {
	return []string{escapeKey(r.options.Prefix) + ":{" + escapeKey(r.options.Hub) + "}:turns"}
}

// Turn implements log.Turns. A process that dies with a turn loses it after most.
func (r *Log) Turn(ctx context.Context, name string, most time.Duration, again bool) (free func(done time.Duration), outcome log.TurnOutcome, err error) {
	client, err := r.connected()
	if err != nil {
		return nil, log.TurnTaken, err
	}
	keys, what, me := r.turnsKey(), tokenOf(name), rand.Text()
	lately := "1"
	if again {
		lately = ""
	}
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	reply, err := takeTurnScript.run(ctx, client, keys, []string{what, me, strconv.FormatInt(most.Milliseconds(), 10), lately})
	if err != nil {
		return nil, log.TurnTaken, r.wrap("taking a turn in Redis", err)
	}
	if len(reply) != 1 {
		return nil, log.TurnTaken, errReply("turn", fmt.Errorf("%d fields", len(reply)))
	}
	switch n, err := reply[0].AsInt64(); {
	case err != nil:
		return nil, log.TurnTaken, errReply("turn", err)
	case n == 0:
		return nil, log.TurnTaken, nil
	case n == 2:
		return nil, log.TurnDone, nil
	}
	return func(done time.Duration) {
		client, err := r.connected()
		if err != nil {
			return // it ends by itself
		}
		ctx, cancel := context.WithTimeout(r.life, r.options.Timeout)
		defer cancel()
		_, _ = freeTurnScript.run(ctx, client, keys, []string{what, me, strconv.FormatInt(done.Milliseconds(), 10)}) // it ends by itself
	}, log.TurnMine, nil
}

var _ log.Turns = (*Log)(nil)
