// Package forwardauth asks the backend who may listen to what, with the
// client's own credentials.
//
// A credential goes one way, from a stream's request to a verdict, and each
// step has a file:
//
//	credential.go  what the client proves itself with, read from its request
//	client.go      who asks: the credential, and what else the backend is told
//	gate.go        whether the backend is asked at all, or the answer is known
//	auth.go        the question, put to the backend: Auth.Ask
//	request.go     the request that puts it, its secrets apart from the rest
//	backend.go     the way to the backend, through Caddy's reverse proxy
//	answer.go      what the answer means
//	trace.go       how the verdict came about, for whoever wants to know
//
// The package knows nothing of streams, endpoints and Caddyfiles, and of Caddy
// only the reverse proxy that it sends its requests through.
package forwardauth
