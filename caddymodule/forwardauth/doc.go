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
//	answer.go      what the answer means; redirect.go for one that leads elsewhere
//	trace.go       how the verdict came about, for whoever wants to know
//
// Beside the way stand the configuration (config.go, preset.go, check.go), the
// language that it is written in (language.go), what limits count (who.go), what
// logs may show (mask.go) and have to say (reports.go), and the address where
// the app says that somebody's rights have changed (revoke.go).
//
// The package knows nothing of streams, endpoints and Caddyfiles, and of Caddy
// only the reverse proxy that it sends its requests through, and the placeholders
// of a request.
package forwardauth
