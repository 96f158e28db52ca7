package webhook

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"os"
	"strings"
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
	body, err := h.buffers().get(firstBuffer)
	if err == nil {
		body, err = body.readFrom(r.Body, h.decoder.MaxBody())
	}
	if err != nil {
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
	body, err := h.buffers().get(firstBuffer)
	if err != nil {
		return nil, err
	}
	body, err = body.readFrom(reader, limit)
	switch {
	case err == nil:
		return body, nil
	case errors.Is(err, errBudget):
	case errors.Is(err, errTooLarge) && limit < h.decoder.MaxBody():
		err = errRatio
	case !errors.Is(err, errTooLarge):
		err = errUnpacking
	}
	return nil, err
}
