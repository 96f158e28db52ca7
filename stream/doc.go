// Package stream is the engine: hubs, their channels, and the streams that
// listen to them.
//
// A hub takes events from its Publisher side, stores them in its log, and only
// then shows them to its channels. A stream is a cursor into that log, not a
// queue: it remembers how far its client got, and writing means to take
// everything between the cursor and the head. Replay after a reconnect,
// catching up after a stall and live delivery are one and the same loop.
//
// Streams belong to shards, one for each core. A shard is one goroutine with a
// conn.Poller: it alone touches its streams, so they need no locks of their own.
// What other goroutines want of a stream they put into its shard's inbox. Only a
// sender with a message for a few streams may do a shard's work while nobody else
// is at it; so whoever is holds shard.working.
//
// Lock order: Hub.writing and shard.working, never both, before Hub.mu before
// channel.mu before shard.inbox. Whoever writes to a client holds shard.working
// alone.
//
// The package knows nothing of Caddy, of HTTP or of webhooks.
package stream
