package redis

import (
	"context"
	"crypto/sha1" //nolint:gosec // names a script, as Redis does
	_ "embed"
	"encoding/hex"
	"strconv"

	"github.com/redis/rueidis"
)

// The scripts, in which the order of a hub's log is made. Redis runs each of
// them as one step, and replicates what it has written as one.
var (
	//go:embed state.lua
	luaState string
	//go:embed trim.lua
	luaTrim string
	//go:embed change.lua
	luaChange string
	//go:embed append.lua
	luaAppend string
	//go:embed sweep.lua
	luaSweep string
	//go:embed clear.lua
	luaClear string
	//go:embed probe.lua
	luaProbe string
	//go:embed look.lua
	luaLook string
	//go:embed read.lua
	luaRead string
	//go:embed find.lua
	luaFind string

	appendScript = newScript(false, luaState, luaTrim, luaChange, luaAppend)
	sweepScript  = newScript(true, luaState, luaTrim, luaSweep)
	clearScript  = newScript(true, luaState, luaTrim, luaChange, luaClear)
	probeScript  = newScript(false, luaState, luaProbe)
	readScript   = newScript(true, luaLook, luaRead)
	findScript   = newScript(true, luaLook, luaFind)
)

// script is called by its digest, and given in full to a Redis that does not
// know it. It is rueidis.Lua for dedicated connections as well.
type script struct {
	text, sha string
	// repeat: a connection that breaks is no reason to fail; the client runs
	// the script again until the context ends.
	repeat bool
}

func newScript(repeat bool, parts ...string) *script {
	s := script{repeat: repeat}
	for _, part := range parts {
		s.text += part
	}
	sum := sha1.Sum([]byte(s.text)) //nolint:gosec // as above
	s.sha = hex.EncodeToString(sum[:])
	return &s
}

// doer is a client, or one connection of it.
type doer interface {
	B() rueidis.Builder
	Do(ctx context.Context, cmd rueidis.Completed) rueidis.RedisResult
}

func (s *script) run(ctx context.Context, c doer, keys, args []string) ([]rueidis.RedisMessage, error) {
	result := s.call(ctx, c, "EVALSHA", s.sha, keys, args)
	if err, ok := rueidis.IsRedisErr(result.Error()); ok && err.IsNoScript() {
		result = s.call(ctx, c, "EVAL", s.text, keys, args)
	}
	return result.ToArray()
}

func (s *script) call(ctx context.Context, c doer, command, what string, keys, args []string) rueidis.RedisResult {
	cmd := c.B().Arbitrary(command, what, strconv.Itoa(len(keys))).Keys(keys...).Args(args...).Build()
	if s.repeat {
		cmd = cmd.ToRetryable()
	}
	return c.Do(ctx, cmd)
}
