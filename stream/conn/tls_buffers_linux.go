package conn

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// crypto/tls keeps the buffers of the handshake, 3.3 KB, for as long as the
// connection lives: a third of what an idle stream over TLS takes. It has no call
// that lets go of them, so they are found by name and type. A Go whose fields are
// others keeps its buffers, and costs that memory, no more.

// buffersOf are where a tls.Conn has its empty buffers, as offsets; none if not all of
// them are what this code knows.
type buffersOf struct {
	buffers []uintptr // bytes.Buffer
	readers []uintptr // bytes.Reader, over memory of one of the buffers
}

var tlsBuffers = findTLSBuffers(reflect.TypeFor[tls.Conn]())

func findTLSBuffers(conn reflect.Type) (found buffersOf) {
	for _, name := range []string{"rawInput", "hand"} {
		f, ok := conn.FieldByName(name)
		if !ok || f.Type != reflect.TypeFor[bytes.Buffer]() {
			return buffersOf{}
		}
		found.buffers = append(found.buffers, f.Offset)
	}
	f, ok := conn.FieldByName("input")
	if !ok || f.Type != reflect.TypeFor[bytes.Reader]() {
		return buffersOf{}
	}
	found.readers = append(found.readers, f.Offset)
	return found
}

// dropBuffers lets go of the buffers for what the peer sends, if they are empty. They
// grow again when it sends something. Nobody else may be reading.
func dropBuffers(tc *tls.Conn) {
	at := func(offset uintptr) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(tc), offset) }
	for _, offset := range tlsBuffers.readers {
		if r := (*bytes.Reader)(at(offset)); r.Len() > 0 {
			return // its memory is that of a buffer
		}
	}
	for _, offset := range tlsBuffers.readers {
		*(*bytes.Reader)(at(offset)) = bytes.Reader{}
	}
	for _, offset := range tlsBuffers.buffers {
		if b := (*bytes.Buffer)(at(offset)); b.Len() == 0 {
			*b = bytes.Buffer{}
		}
	}
}
