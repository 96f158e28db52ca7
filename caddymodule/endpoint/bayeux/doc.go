// Package bayeux serves the clients of Faye and CometD: the Bayeux protocol 1.0
// (docs.cometd.org, The Bayeux Protocol) over every transport that these clients
// have. It reads their messages, keeps their sessions, asks who may subscribe, and
// writes what comes. It must not know Caddy.
//
// A session is a record and not a connection: an id, who its client is, what it has
// subscribed to, and how far it has got. Between two requests nothing is queued for
// it: the log has it. Sessions are kept beside the hub (registry), so that they
// outlive a configuration, and hold nothing of one.
//
// The way of a message: a transport (longpolling.go, jsonp.go, eventsource.go) reads a
// batch and who sends it (exchange); each message goes to its channel's file
// (handshake.go, connect.go, subscribe.go, publish.go); the replies go back in one
// array. A /meta/connect that may be held comes last: it waits in a goroutine with
// little on its stack.
//
// What a client calls a channel is looked up by the Resolvers, in order: rooms that
// the configuration maps (rooms.go) are one. A Resolver says which channel of the hub
// it is, and whose right has to be asked for; to know a signed name is the right.
// The other way round, a session names an event as its subscription does.
//
// What is beside the messages' own keys, ext, is for Extensions: they see a
// handshake, a subscription and a connect, and add to the reply. What a session knows
// is its record, kept with the log of the hub (record.go): by it, a session is taken up
// after a restart, and at any node.
package bayeux
