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
// sender with a message for a few streams may do a shard's work while the shard
// itself is idle; so whoever does that work holds shard.working.
//
// Clients that speak have the same streams. What they say goes to the stream's
// Input; the stream Joins and Leaves channels and Patterns, and Sends words to
// this one client, in order with the events. A client that polls has a Reader
// instead, and a Door lets either in, channel by channel.
//
// # Lock order
//
// A lock is taken only while locks that stand above it are held:
//
//	Hub.writing    whoever appends to the log     (never together with shard.working)
//	shard.working  whoever does a shard's work    (the only one held while a client is written to)
//	Reader.mu
//	Hub.mu         which channels there are, and what was shown to them
//	channel.mu     a channel's recent events, and its readers
//	admissions.mu, records.mu, shard.inbox, fetchers.mu, the locks of connections: nothing is taken under them
//
// The package knows nothing of Caddy, of HTTP or of webhooks.
package stream
