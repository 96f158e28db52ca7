package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// answer is what every script that writes answers first.
type answer struct {
	same bool // the log has the epoch that it was asked about
	// upgraded: it had an older format, and this call has changed that.
	upgraded bool
	head     event.Cursor
	at       int64 // of the newest entry
	time     int64 // of the server
	stats    log.Stats
	rest     []rueidis.RedisMessage
}

const stateFields = 10

func parseAnswer(reply []rueidis.RedisMessage) (s answer, err error) {
	if len(reply) < stateFields {
		return s, fmt.Errorf("redis answered with %d fields", len(reply))
	}
	var n [stateFields]int64
	for i := range n {
		if i == 1 {
			continue
		}
		if n[i], err = reply[i].AsInt64(); err != nil {
			return s, errReply("state", err)
		}
	}
	epoch, err := reply[1].ToString()
	if err != nil {
		return s, errReply("epoch", err)
	}
	if _, err := hex.Decode(s.head.Epoch[:], []byte(epoch)); err != nil || len(epoch) != 2*len(s.head.Epoch) {
		return s, fmt.Errorf("redis holds an epoch of %d letters", len(epoch))
	}
	s.same, s.upgraded = n[0] == 0, n[0] == 2
	s.head.Seq, s.head.Tag = uint64(n[2]), event.Tag(n[3])
	s.at, s.time = n[4], n[5]
	s.stats = log.Stats{Events: uint64(n[6]), Bytes: n[7], Channels: uint64(n[8]), Oldest: uint64(n[9])}
	s.rest = reply[stateFields:]
	return s, nil
}

// stateArgs are what every script that writes is given first.
func (r *Log) stateArgs(known event.Cursor) []string {
	args := []string{"", strconv.FormatUint(known.Seq, 10), strconv.FormatUint(uint64(known.Tag), 10), event.NewEpoch().String() + newSecret(), ""}
	if known.Epoch != (event.Epoch{}) {
		args[0] = known.Epoch.String()
	}
	if r.options.Now != nil {
		args[4] = strconv.FormatInt(r.options.Now().UnixMilli(), 10)
	}
	return args
}

// state has Redis write something, compare what this process knows with what
// is there, and say where the log stands. A log that is new gets its epoch.
func (r *Log) state(ctx context.Context, c doer, known event.Cursor) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	reply, err := probeScript.run(ctx, c, r.keys, r.stateArgs(known))
	if err != nil {
		return answer{}, r.wrap("probing Redis", err)
	}
	s, err := parseAnswer(reply)
	if err == nil && len(s.rest) > 0 {
		var secret string
		if secret, err = s.rest[0].ToString(); err == nil {
			r.secret.Store(&secret)
		}
	}
	return s, err
}

// newSecret is one that nobody can guess.
func newSecret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// announce begins to speak of the epoch that Redis has now.
func (r *Log) announce(s answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.head = s.head
	r.learn(s)
}

// advance notes that the log reaches up to head, if that is news.
// Called with r.mu held.
func (r *Log) advance(head event.Cursor) {
	if head.Epoch == r.head.Epoch && head.Seq > r.head.Seq {
		r.head = head
	}
}

// learn keeps what an answer says beside the position. Called with r.mu held.
func (r *Log) learn(s answer) {
	appends := r.stats.Appends
	r.stats = s.stats
	r.stats.Appends = appends
	r.clock.learn(r.passed(r.now()), s.time, s.at)
}

func (r *Log) now() time.Time {
	if r.options.Now != nil {
		return r.options.Now()
	}
	return time.Now()
}

// passed is the time since the log was opened, in milliseconds.
func (r *Log) passed(now time.Time) int64 { return now.Sub(r.started).Milliseconds() }

// serverClock follows the clock of the Redis server, so that somebody who sets
// it forward while this process runs does not make old what is there. All
// numbers are milliseconds.
type serverClock struct {
	time   int64 // of the server, since 1970; 0 before the first answer
	seen   int64 // when it was that, by the time that passed here
	at     int64 // the time of the newest entry
	jump   int64 // how far the server's clock was set forward, together
	jumped int64 // the server's time right after that
}

func (c *serverClock) learn(passed, time, at int64) {
	if ahead := time - c.now(passed); c.time > 0 && ahead > log.JumpMillis {
		c.jump, c.jumped = c.jump+ahead, time
	}
	c.time, c.seen, c.at = time, passed, at
}

// now is about the server's time.
func (c *serverClock) now(passed int64) int64 { return c.time + passed - c.seen }

// cutoff is the time before which an entry is older than span. While the
// server's clock is behind the newest entry, nothing gets older.
func (c *serverClock) cutoff(passed int64, span time.Duration) int64 {
	t := max(c.now(passed), c.at)
	if c.jump > 0 && t-c.jumped < span.Milliseconds() {
		t -= c.jump
	}
	return t - span.Milliseconds()
}
