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

// maxPooledBody is the size of the largest buffer that is worth keeping.
const maxPooledBody = 64 << 10

// buffer holds a body while a delivery is served.
type buffer struct{ bytes.Buffer }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func newBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) release() {
	if b.Cap() <= maxPooledBody {
		b.Reset()
		buffers.Put(b)
	}
}

// readBody reads the body within its bounds of size and time. What is read
// grows with what arrives, not with what is announced.
func (h *Hook) readBody(w http.ResponseWriter, r *http.Request) (*buffer, error) {
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
	body := newBuffer()
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, h.decoder.MaxBody()))
	if err != nil {
		body.release()
		w.Header().Set("Connection", "close")
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			return nil, errTooLarge
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
	return h.unpack(body.Bytes())
}

func (h *Hook) unpack(packed []byte) (*buffer, error) {
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, errUnpacking
	}
	limit := min(h.decoder.MaxBody(), maxRatio*int64(len(packed)))
	body := newBuffer()
	n, err := body.ReadFrom(io.LimitReader(reader, limit+1))
	switch {
	case err != nil:
		err = errUnpacking
	case n > h.decoder.MaxBody():
		err = errTooLarge
	case n > limit:
		err = errRatio
	default:
		return body, nil
	}
	body.release()
	return nil, err
}
