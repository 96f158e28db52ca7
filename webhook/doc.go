// Package webhook takes deliveries over HTTP: it verifies who sent them, lets
// package decode turn them into events, publishes the events, and gives the
// sender the answer that it needs.
//
// A Hook is one address. A delivery goes through Serve (serve.go): the head is
// judged, the body is read (body.go), its sender is verified (verify.go, and one
// file for each scheme), it is read and mapped by a decode.Decoder, its events are
// published, and the sender is answered (answer.go). What some senders ask beside
// their deliveries is in slack.go, cloudevents.go and matrix.go.
//
// The package knows HTTP requests and events. It knows nothing of formats, of
// streams, of stores or of Caddy.
package webhook
