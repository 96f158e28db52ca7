package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/conn"
	"github.com/seed-078801ba/sidestream/stream/conn/certtest"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// The clients of the tests: real sockets, and a format that is easy to read.

// lines is a format that is easy to read: a line a message.
type lines struct{ resumable bool }

func (lines) Name() string        { return "lines" }
func (lines) ContentType() string { return "text/plain" }
func (lines) Event(dst []byte, e *event.Entry, c event.Cursor) []byte {
	return fmt.Appendf(dst, "%s %s %s\n", c, e.Channel.Text, e.Body)
}
func (lines) Gap(dst []byte, m event.Missing) []byte {
	return fmt.Appendf(dst, "%s GAP %s\n", m.To, m.Reason)
}
func (l lines) Heartbeat(dst []byte, c event.Cursor) []byte {
	if l.resumable && c != (event.Cursor{}) {
		return fmt.Appendf(dst, "%s HEARTBEAT\n", c)
	}
	return append(dst, '\n')
}
func (lines) Farewell(dst []byte, f format.Farewell) []byte {
	if f.RetryMillis == 0 {
		return dst
	}
	return append(dst, "BYE\n"...)
}
func (l lines) Resumable() bool { return l.resumable }

var legacy, resumable format.Format = lines{}, lines{resumable: true}

// kinds are the ways to connect a client to a stream, each over a real socket
// where there is one.
var kinds = map[string]func(t *testing.T) (client net.Conn, server conn.Conn){
	"socket": func(t *testing.T) (net.Conn, conn.Conn) {
		c, s := tcpPair(t)
		return c, conn.TakeOver(s, conn.Chunked, conn.Options{SendBuffer: 16 << 10})
	},
	"goroutine": func(t *testing.T) (net.Conn, conn.Conn) {
		c, s := tcpPair(t)
		return c, conn.TakeOver(struct{ net.Conn }{s}, conn.Chunked, conn.Options{}) // no socket to be seen
	},
	"tls": func(t *testing.T) (net.Conn, conn.Conn) {
		c, s := tcpPair(t)
		certificate := certtest.New(t)
		server, client := tls.Server(s, certificate.Server()), tls.Client(c, certificate.Client())
		done := make(chan error)
		go func() { done <- server.Handshake() }()
		if err := errors.Join(client.Handshake(), <-done); err != nil {
			t.Fatal(err)
		}
		return client, conn.TakeOver(server, conn.Chunked, conn.Options{SendBuffer: 16 << 10})
	},
	"handler": func(t *testing.T) (net.Conn, conn.Conn) {
		c, s := tcpPair(t)
		r := conn.NewResponder(chunker{s})
		ctx, cancel := context.WithCancel(context.Background())
		go func() { // as a server does
			io.Copy(io.Discard, s)
			cancel()
		}()
		go func() {
			defer s.Close()
			r.Serve(ctx)
			io.WriteString(s, "0\r\n\r\n")
		}()
		return c, r
	},
}

// chunker does what net/http does behind a handler.
type chunker struct{ net.Conn }

func (c chunker) Write(b []byte) (int, error) {
	_, err := fmt.Fprintf(c.Conn, "%x\r\n%s\r\n", len(b), b)
	return len(b), err
}
func (c chunker) Flush() error { return nil }
func (c chunker) Abort()       { c.Close() }
func (chunker) Break()         {}

func tcpPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	client.(*net.TCPConn).SetReadBuffer(32 << 10) // or the kernel reads megabytes on behalf of a client that sleeps
	return client, server
}

// listener is a client: it reads chunks and splits them into lines.
type listener struct {
	t *testing.T
	c net.Conn
	r *chunkReader
}

type opening struct {
	kind     string
	format   format.Format
	channels []string
	from     From
	start    *Start // instead of from
	onClose  func(Closed)
	beat     time.Duration
	standing bool
	prelude  [][]byte
	input    Input
	sent     []byte
	client   *Client
}

func listen(t *testing.T, h *Hub, o opening) (*listener, *Stream) {
	t.Helper()
	if o.kind == "" {
		o.kind = "socket"
	}
	if o.format == nil {
		o.format = legacy
	}
	if o.beat == 0 {
		o.beat = time.Hour
	}
	c, s := kinds[o.kind](t)
	ticket, err := h.Admit(Candidate{Address: netip.MustParseAddr("192.0.2.1"), Channels: len(o.channels)})
	if err == nil {
		err = ticket.Grant(o.channels...)
	}
	if err != nil {
		t.Fatal(err)
	}
	if o.start == nil {
		start, err := h.Resolve(o.channels, o.from)
		if err != nil {
			t.Fatal(err)
		}
		o.start = &start
	}
	st, err := h.Attach(Opening{
		Client: o.client,
		Conn:   s, Spec: &Spec{Format: o.format, Heartbeat: o.beat}, Channels: o.channels, Start: *o.start, Ticket: ticket, OnClose: o.onClose,
		Standing: o.standing, Prelude: o.prelude, Input: o.input, Sent: o.sent,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &listener{t: t, c: c, r: newChunkReader(c)}, st
}

// next is the next message, without its cursor; heartbeats are passed over.
func (l *listener) next() string {
	l.t.Helper()
	for {
		m := l.message()
		if m == "\n" || strings.HasSuffix(m, "HEARTBEAT\n") {
			continue
		}
		_, m, ok := strings.Cut(strings.TrimSuffix(m, "\n"), " ")
		if !ok {
			l.t.Fatalf("message without cursor: %q", m)
		}
		return m
	}
}

// message is the next chunk whole.
func (l *listener) message() string {
	l.t.Helper()
	l.c.SetReadDeadline(time.Now().Add(20 * time.Second))
	b, err := l.r.chunk()
	if err != nil {
		l.t.Fatalf("reading the stream: %v", err)
	}
	return string(b)
}

func (l *listener) expect(want ...string) {
	l.t.Helper()
	for _, w := range want {
		if got := l.next(); got != w {
			l.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

func (l *listener) expectBye() {
	l.t.Helper()
	m := l.message()
	for m == "\n" { // a heartbeat
		m = l.message()
	}
	if m != "BYE\n" {
		l.t.Fatalf("got %q instead of the farewell", m)
	}
}

// drained reads to the end and says whether the body ended properly.
func (l *listener) drained() (clean bool) {
	l.t.Helper()
	l.c.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		if _, err := l.r.chunk(); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

type chunkReader struct {
	r   io.Reader
	buf bytes.Buffer
}

func newChunkReader(r io.Reader) *chunkReader { return &chunkReader{r: r} }

// chunk reads one chunk. io.EOF is the proper end of the body.
func (c *chunkReader) chunk() ([]byte, error) {
	var size int
	head, err := c.upTo("\r\n")
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Sscanf(head, "%x\r\n", &size); err != nil {
		return nil, fmt.Errorf("chunk head %q: %w", head, err)
	}
	for c.buf.Len() < size+2 {
		if err := c.more(); err != nil {
			return nil, err
		}
	}
	b := append([]byte(nil), c.buf.Next(size+2)...)
	if !bytes.HasSuffix(b, []byte("\r\n")) {
		return nil, fmt.Errorf("chunk ends in %q", b[size:])
	}
	if size == 0 {
		return nil, io.EOF
	}
	return b[:size], nil
}

func (c *chunkReader) upTo(end string) (string, error) {
	for {
		if i := bytes.Index(c.buf.Bytes(), []byte(end)); i >= 0 {
			return string(c.buf.Next(i + len(end))), nil
		}
		if err := c.more(); err != nil {
			return "", err
		}
	}
}

func (c *chunkReader) more() error {
	b := make([]byte, 4096)
	n, err := c.r.Read(b)
	c.buf.Write(b[:n])
	if n > 0 {
		return nil
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
