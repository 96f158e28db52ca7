// Package tambur serves the clients of Tambur.io: browsers that hold a WebSocket, or
// poll with scripts where there is none, and publishers that post signed requests.
//
// The way of a client: a script from the balancer (balancer.go) tells it where to
// connect; it opens a WebSocket (socket.go) or begins to poll (comet.go), and gets an
// id, which is new for each connection. From then on it is a subscriber
// (subscriber.go) that sends commands (command.go): to subscribe to a stream, and to
// turn on modes of it, for which the app gives it tokens (token.go). Publishers sign
// with OAuth 1.0a (oauth.go, publish.go).
//
// A stream is a channel of the hub, so that what comes in by a webhook reaches
// subscribers, and what publishers say reaches clients of all kinds. What only those
// with a token may hear has a channel of its own (event.ModeChannel). Direct messages
// (direct.go) and who is there (roll.go) are worth something now or never, and are
// stored nowhere.
//
// The server's side of the protocol is not public. The wire is what the public
// clients and their tests do: tamburio/tambur.js, ruby-tambur, the Python and the PHP
// client.
package tambur
