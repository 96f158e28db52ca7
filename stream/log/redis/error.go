package redis

import (
	"errors"
	"fmt"
	"strings"

	"github.com/seed-078801ba/sidestream/stream/log"
)

// errEpoch: Redis holds another epoch than the one that Follow has announced.
// It passes when Follow announces that one.
var errEpoch = errors.New("the log in Redis has another epoch now")

// errClosed: nothing may be called any more.
var errClosed = errors.New("the log is closed")

// errNotConnected: no connection, or none that has shown to be alive lately.
var errNotConnected = errors.New("not connected to Redis")

// callError is an error of Redis or of the connection, with its text cleaned
// of passwords: Redis quotes the arguments of commands that it does not know.
type callError struct {
	doing string
	text  string
	kind  error // ErrFailed or ErrFull
	err   error // what it was; its text may hold a password
}

func (e *callError) Error() string { return e.doing + ": " + e.text }
func (e *callError) Unwrap() error { return e.kind }

// Is and As also look into what went wrong, for whoever explains it.
func (e *callError) Is(target error) bool { return e.err != nil && errors.Is(e.err, target) }
func (e *callError) As(target any) bool   { return e.err != nil && errors.As(e.err, target) }

// wrap makes an error fit to be shown, and one that callers can tell.
func (r *Log) wrap(doing string, err error) error {
	text := r.options.Address.Scrub(err).Error()
	kind := log.ErrFailed
	if lower := strings.ToLower(text); strings.Contains(lower, "no space left") || strings.Contains(lower, "disk full") {
		kind = log.ErrFull
	}
	return &callError{doing: doing, text: text, kind: kind, err: err}
}

// errReply is the error of an answer that no script of ours gives.
func errReply(what string, err error) error {
	return fmt.Errorf("redis answered something else than expected (%s): %w", what, err)
}
