package webhook

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

var (
	errTooLarge  = &Refusal{http.StatusRequestEntityTooLarge, "the body is too large"}
	errRatio     = &Refusal{http.StatusRequestEntityTooLarge, "the body grows too much when it is unpacked"}
	errSlow      = &Refusal{http.StatusRequestTimeout, "the body did not arrive in time"}
	errBody      = badInput("the body could not be read")
	errEncoding  = unsupported("a Content-Encoding that this webhook does not read")
	errUnpacking = badInput("the body is no gzip")
)

// maxRatio is how much a packed body may grow.
const maxRatio = 100

// unpacker is what unpacking takes beside the bytes, in bytes.
const unpacker = 48 << 10

// The sizes of buffers. Each body begins in a small one, however long its
// Content-Length says that it is.
const (
	smallBuffer = 4 << 10
	largeBuffer = 64 << 10
)

// buffer holds a body while a delivery is served. Small and large ones are used
// again, others are not.
type buffer struct{ bytes []byte }

var (
	smallBuffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, smallBuffer)} }}
	largeBuffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, largeBuffer)} }}
)

// newBuffer reserves and returns a small buffer.
func newBuffer(h *hold) (*buffer, error) {
	if err := h.take(smallBuffer); err != nil {
		return nil, err
	}
	return smallBuffers.Get().(*buffer), nil
}

func (b *buffer) release() {
	b.bytes = b.bytes[:0]
	switch cap(b.bytes) {
	case smallBuffer:
		smallBuffers.Put(b)
	case largeBuffer:
		largeBuffers.Put(b)
	}
}

// readFrom reads to the end, or returns errTooLarge beyond the limit. It reserves
// the memory of each buffer before it makes one.
func (b *buffer) readFrom(r io.Reader, limit int64, h *hold) error {
	for {
		if len(b.bytes) == cap(b.bytes) {
			if err := b.grow(h); err != nil {
				return err
			}
		}
		n, err := r.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		switch {
		case int64(len(b.bytes)) > limit:
			return errTooLarge
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

func (b *buffer) grow(h *hold) error {
	size := max(2*cap(b.bytes), largeBuffer)
	if err := h.take(int64(size)); err != nil {
		return err
	}
	if size > largeBuffer {
		b.bytes = append(make([]byte, 0, size), b.bytes...)
		return nil
	}
	large := largeBuffers.Get().(*buffer)
	b.bytes, large.bytes = append(large.bytes, b.bytes...), b.bytes
	large.release() // which is the small one now
	return nil
}

// readBody reads the body, within the bounds of its size and time and within the
// budget for unverified deliveries.
func (h *Hook) readBody(w http.ResponseWriter, r *http.Request, held *hold) (*buffer, error) {
	packed := false
	switch encoding := strings.ToLower(strings.Join(r.Header.Values("Content-Encoding"), ",")); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		if packed = h.gzip; !packed {
			return nil, errEncoding
		}
	default:
		return nil, errEncoding
	}
	if r.ContentLength > h.decoder.MaxBody() {
		w.Header().Set("Connection", "close")
		return nil, errTooLarge
	}
	controller := http.NewResponseController(w)
	// Where there is no deadline to set (a recorder in a test), the server's
	// own must do.
	_ = controller.SetReadDeadline(time.Now().Add(h.bodyTimeout))
	body, err := newBuffer(held)
	if err != nil {
		w.Header().Set("Connection", "close")
		return nil, err
	}
	if err := body.readFrom(r.Body, h.decoder.MaxBody(), held); err != nil {
		body.release()
		w.Header().Set("Connection", "close") // what is left is not read
		switch {
		case errors.Is(err, errBudget), errors.Is(err, errTooLarge):
			return nil, err
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, errSlow
		}
		return nil, errBody
	}
	_ = controller.SetReadDeadline(time.Time{})
	if !packed {
		return body, nil
	}
	defer body.release()
	return h.unpack(body.bytes, held)
}

func (h *Hook) unpack(packed []byte, held *hold) (*buffer, error) {
	if err := held.take(unpacker); err != nil {
		return nil, err
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, errUnpacking
	}
	limit := min(h.decoder.MaxBody(), maxRatio*int64(len(packed)))
	body, err := newBuffer(held)
	if err != nil {
		return nil, err
	}
	err = body.readFrom(reader, limit, held)
	switch {
	case err == nil:
		return body, nil
	case errors.Is(err, errBudget):
	case errors.Is(err, errTooLarge) && limit < h.decoder.MaxBody():
		err = errRatio
	case !errors.Is(err, errTooLarge):
		err = errUnpacking
	}
	body.release()
	return nil, err
}
