package stream

import (
	"log/slog"
	"runtime"
	"time"

	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// Config is what a hub can be told anew while it runs. Zero values mean the
// defaults.
type Config struct {
	// Lag is how far a client may stay behind before its stream is closed.
	Lag Lag
	// Limits bound what strangers can open.
	Limits Limits
	// Names is how the names of channels are read. Default: as they are.
	Names event.Names
	// WindowEvents and WindowBytes bound the recent events of a channel that
	// are kept in memory, encoded, for its streams. Defaults: 1024 events and
	// 1 MiB. Bytes are never less than twice Lag.Bytes, so that a client within
	// its bounds is served from memory.
	WindowEvents int
	WindowBytes  int
	// WindowTotal bounds the windows of all channels together; the largest
	// give first. Default: 64 MiB.
	WindowTotal int64
	// Linger is how long a channel that nobody listens to keeps its window, for
	// clients that come back. Default: 1 minute.
	Linger time.Duration
	// IdleChannels bounds how many such channels there are; the one that was
	// left first goes first. Default: 10,000.
	IdleChannels int
	// Drain is the time over which the streams are closed when the hub closes,
	// so that their clients do not all come back at once. Default: 3 s.
	Drain time.Duration
	// Conn bounds what a connection may hold back. Default: a send buffer of
	// 64 KiB, and 30 s without an acknowledgement.
	Conn conn.Options
	// Logger gets a line at debug level for every stream that ends, and what
	// goes wrong. Default: none.
	Logger *slog.Logger
}

// Lag bounds how far a client may be behind what its channels have said.
type Lag struct {
	// Bytes of events not yet taken by the connection. Default: 512 KiB.
	Bytes int64
	// Time since the connection last took something, or, once the stream had
	// caught up, since it has been behind. Default: 15 s.
	Time time.Duration
}

func orDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

func (c Config) withDefaults() Config {
	orDefault(&c.Lag.Bytes, 512<<10)
	orDefault(&c.Lag.Time, 15*time.Second)
	orDefault(&c.WindowEvents, 1024)
	orDefault(&c.WindowBytes, 1<<20)
	c.WindowBytes = max(c.WindowBytes, int(2*c.Lag.Bytes))
	orDefault(&c.WindowTotal, 64<<20)
	orDefault(&c.Linger, time.Minute)
	orDefault(&c.IdleChannels, 10_000)
	orDefault(&c.Drain, 3*time.Second)
	orDefault(&c.Conn.SendBuffer, 64<<10)
	orDefault(&c.Conn.UnackedMillis, 30_000)
	orDefault(&c.Limits.ChannelsPerStream, 250)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// shardCount is how many shards a hub has: one for each core that Go uses.
func shardCount() int { return runtime.GOMAXPROCS(0) }
