// Package redis is the way in for what an app publishes to Redis: it listens
// to channels and patterns, or reads a stream, and turns what it hears into
// events with the decoders of package decode.
//
// # Publish/subscribe
//
// PUBLISH keeps nothing: what nobody heard is gone. A Source therefore says so
// whenever it may have missed something: on every new subscription, when its
// queue was full, and when the log would not take what was heard. It says it as
// an event.Gap in the channels that streams listen to (see Source.Interest) and
// in those that it has heard of lately, and before the next event in any other.
// Only a hub that has never stored an event of this source starts without.
//
// Whether the subscription still works is never assumed: every few seconds a
// probe goes through Redis and must come back on the connection that listens.
// Redis need not be there when a Source starts.
//
// # Several nodes, one log
//
// Every node hears every PUBLISH. Messages with an id of their own are stored
// once because the log knows their key. For the others, the nodes agree on an
// id: Redis sends everything to all subscribers in one order, so the probes
// divide it into windows that are the same for every node, and a message is
// known by its window, its channel, its number among that channel's messages
// of the window, and its content. Nobody needs a lease, and nothing is lost or
// stored twice while a node goes or comes.
//
// The order is that of Redis. Only when all nodes have lost their subscriptions
// within a second can a message that one of them has heard come late, after the
// gap that was told for it.
//
// A node that subscribes asks whether another one was listening all along and
// has stored what it heard; then nothing is missing, and no gap is told. Two
// nodes that find the same loss tell it once.
//
// What this cannot do: on a Redis Cluster all nodes listen at the same one of
// its servers, but while they disagree which one that is, a message without an
// id can be stored twice. With OnDemand, a gap precedes the first listener of a
// channel on a node even if another node has heard everything. The memory of
// channels is bounded (65536 at least); one that fell out of it after a loss may
// be told of it a second time.
//
// What nodes say on the channel of the probes is signed with a secret that is kept
// in the shared log, and counts once, for a minute: whoever else may publish there
// can neither hide a gap nor keep a dead subscription alive. The clocks of the
// nodes must agree to within that minute.
//
// # Streams
//
// A stream loses nothing: the id of the last entry is stored in the same
// transaction as the events. When entries were trimmed or deleted before they
// were read, that is told as a gap.
//
// # Rights
//
// For publish/subscribe, a Redis user needs its channels and the probe's:
//
//	ACL SETUSER sidestream on >secret resetchannels &sidestream:probe &chat:* +subscribe +psubscribe +unsubscribe +publish
//
// On a cluster also +ping, +cluster|slots and +cluster|shards. For a stream:
//
//	ACL SETUSER sidestream on >secret %R~chat:events +xread +xrange +xinfo|stream
//
// and with a group:
//
//	ACL SETUSER sidestream on >secret ~chat:events ~chat:events:dead +xrange +xinfo|stream +xinfo|groups
//	    +xgroup|create +xreadgroup +xack +xautoclaim +xpending +xadd
package redis
