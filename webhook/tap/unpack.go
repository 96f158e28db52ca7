package tap

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// readable tells whether a Content-Encoding can be unpacked. An empty one is none.
func readable(coding string) bool {
	switch coding {
	case "", "identity", "gzip", "x-gzip", "zstd", "br":
		return true
	}
	return false
}

// Causes for which a copy cannot be unpacked.
var (
	errUnpacks = errors.New("the answer unpacks to more than is read")
	errCoding  = errors.New("the coding of the answer is broken")
)

// unpack undoes the coding of a body. The result is at most maxCopy bytes long.
func unpack(coding string, body []byte) ([]byte, error) {
	switch coding {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, errCoding
		}
		return readBounded(r)
	case "zstd":
		d := zstdReaders.Get().(*zstd.Decoder)
		defer func() {
			if err := d.Reset(nil); err == nil {
				zstdReaders.Put(d)
			}
		}()
		if err := d.Reset(bytes.NewReader(body)); err != nil {
			return nil, errCoding
		}
		return readBounded(d)
	case "br":
		return readBounded(brotli.NewReader(bytes.NewReader(body)))
	}
	return nil, fmt.Errorf("%w: it is not known", errCoding)
}

// zstdReaders work without goroutines of their own, and with little memory.
var zstdReaders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(8<<20), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err) // the options are constant
	}
	return d
}}

func readBounded(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxCopy+1))
	switch {
	case err != nil:
		return nil, errCoding
	case len(text) > maxCopy:
		return nil, errUnpacks
	}
	return text, nil
}
