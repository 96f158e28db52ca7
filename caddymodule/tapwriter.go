package caddymodule

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-078801ba/sidestream/webhook/tap"
)

// tapWriter writes an answer to the client, and tells a tap afterwards what was
// written. Whatever else a writer can do is done by the one below.
type tapWriter struct {
	*caddyhttp.ResponseWriterWrapper
	answer *tap.Answer
	client context.Context // ends when the client hangs up
}

func (w *tapWriter) WriteHeader(status int) {
	// A writer below may change the header as it writes it.
	w.answer.Head(status, w.Header())
	w.ResponseWriter.WriteHeader(status)
}

// Write writes to a client that has hung up as if it had not, so that the rest of the
// answer is still read from the app.
func (w *tapWriter) Write(p []byte) (int, error) {
	w.answer.Head(http.StatusOK, w.Header())
	n, err := w.ResponseWriter.Write(p)
	if err == nil {
		w.answer.Body(p[:n])
		return n, nil
	}
	if w.answer.Wanted() && w.gone(err) {
		w.answer.Body(p)
		return len(p), nil
	}
	return n, err
}

// gone tells whether a write has failed because there is no client any more.
func (w *tapWriter) gone(err error) bool {
	return !errors.Is(err, http.ErrBodyNotAllowed) && !errors.Is(err, http.ErrContentLength) && !errors.Is(err, http.ErrHijacked)
}

// ReadFrom lets the writer below copy in its own way what no tap wants to see.
func (w *tapWriter) ReadFrom(r io.Reader) (int64, error) {
	if w.answer.Wanted() {
		return io.Copy(struct{ io.Writer }{w}, r)
	}
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError flushes the writer below.
func (w *tapWriter) FlushError() error {
	w.answer.Head(http.StatusOK, w.Header())
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if err != nil && w.client.Err() != nil && w.answer.Wanted() {
		return nil
	}
	return err
}

// Flush implements http.Flusher.
func (w *tapWriter) Flush() { _ = w.FlushError() }

// Interface guards.
var (
	_ http.Flusher  = (*tapWriter)(nil)
	_ io.ReaderFrom = (*tapWriter)(nil)
)
