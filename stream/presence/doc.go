// Package presence knows who is there: which user is in which channel, in which
// state, with how many streams, and since when.
//
// A Roster is one node's knowledge of a hub. Streams Enter a channel for their user
// and Leave it. A user with several streams is there once, and the most active one
// counts. Who comes back within the grace was never away.
//
// # Many nodes
//
// Every node knows the whole roster, and claims only what its own streams prove. On
// the bus it says what has changed, in numbered words; and every third of a lease it
// says that it lives, with the number of its last word and a digest of all that it
// claims. Who misses a word, or has another digest, asks for everything anew. What a
// node claims that is not heard for a lease is no longer believed. So nothing is
// written for a stream that does nothing, nothing has to be cleaned up after a crash,
// and the clocks of the nodes are never compared: times go over the bus as ages.
//
// # What is told
//
// Whoever Watches is told every join, leave and change of state once, in the order in
// which this node learned of them. In a channel with more users than Config.Names only
// the count is told.
//
// The package knows nothing of HTTP, of Caddy, or of what a stream is.
package presence
