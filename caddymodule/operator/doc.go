// Package operator is what whoever runs the server sees and does while it runs: the
// hubs, their streams and channels, what comes in, and why a stream was opened or
// refused. API serves it over HTTP, for Caddy's admin API; the types are what it
// answers with, for the commands that ask it.
//
// It must not know Caddy, nor where hubs come from.
package operator
