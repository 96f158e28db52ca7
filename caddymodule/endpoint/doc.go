// Package endpoint knows what clients ask for: one file for each kind of client,
// and what all of them share. It reads a request once, tells whose it is, asks
// who may listen, and opens a stream or refuses in the client's own words.
//
// The way of a request for a stream: Server.Claim finds the endpoint, which
// reads the request (Ask); the credential is read, limits are looked at, the
// backend is asked (admission), the log is asked where the stream begins, and
// the response becomes a stream (Attach).
//
// To add an endpoint, write a file with its settings, which are a Kind, and give
// them a field in caddymodule.Endpoints, the registry. The directive's parser, the
// JSON configuration, heartbeats and `explain` follow from that.
//
// The package must not know Caddy: what it needs of the server is given to it.
package endpoint
