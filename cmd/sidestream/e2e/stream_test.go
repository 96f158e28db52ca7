package e2e

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rawStream is a stream read from the socket, so that the test sees every
// chunk as it was sent.
type rawStream struct {
	t      *testing.T
	conn   net.Conn
	r      *bufio.Reader
	status int
	header textproto.MIMEHeader
}

// basic is an Authorization header line with the token as user.
func basic(token string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(token+":x"))
}

// open asks for a stream with header lines. It returns when the head is there.
func (s *server) open(target string, lines ...string) *rawStream {
	s.t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	lines = append([]string{"GET " + target + " HTTP/1.1", "Host: " + strings.TrimPrefix(s.url, "http://")}, lines...)
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		s.t.Fatal(err)
	}
	return readHead(s.t, conn)
}

// readHead reads the response's head from a connection.
func readHead(t *testing.T, conn net.Conn) *rawStream {
	t.Helper()
	st := &rawStream{t: t, conn: conn, r: bufio.NewReader(conn)}
	head := textproto.NewReader(st.r)
	line, err := head.ReadLine()
	if err != nil {
		t.Fatalf("reading the status: %v", err)
	}
	if _, err := fmt.Sscanf(line, "HTTP/1.1 %d", &st.status); err != nil {
		t.Fatalf("the status line is %q", line)
	}
	if st.header, err = head.ReadMIMEHeader(); err != nil {
		t.Fatalf("reading the header: %v", err)
	}
	return st
}

// chunk reads the next chunk; io.EOF is the orderly end of the stream.
func (st *rawStream) chunk() (string, error) {
	st.conn.SetReadDeadline(time.Now().Add(patience))
	line, err := st.r.ReadString('\n')
	if err != nil {
		return "", noEOF(err)
	}
	size, err := strconv.ParseUint(strings.TrimSuffix(line, "\r\n"), 16, 31)
	if err != nil {
		return "", fmt.Errorf("the chunk begins with %q", line)
	}
	b := make([]byte, size+2)
	if _, err := io.ReadFull(st.r, b); err != nil {
		return "", noEOF(err)
	}
	if string(b[size:]) != "\r\n" {
		return "", fmt.Errorf("the chunk ends with %q", b[size:])
	}
	if size == 0 {
		return "", io.EOF
	}
	return string(b[:size]), nil
}

// noEOF keeps a cut connection apart from an orderly end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// next is the next chunk that is no heartbeat.
func (st *rawStream) next() string {
	st.t.Helper()
	for {
		c, err := st.chunk()
		if err != nil {
			st.t.Fatalf("reading the stream: %v", err)
		}
		if strings.Trim(c, " \n:") != "" && !isBookmark(c) {
			return c
		}
	}
}

// isBookmark tells a heartbeat that carries a cursor.
func isBookmark(chunk string) bool {
	return strings.HasPrefix(chunk, "id: ") && !strings.Contains(chunk, "data:")
}

// until collects chunks, heartbeats left out, up to and including the one that
// contains mark.
func (st *rawStream) until(mark string) []string {
	st.t.Helper()
	var chunks []string
	for {
		c := st.next()
		chunks = append(chunks, c)
		if strings.Contains(c, mark) {
			return chunks
		}
	}
}

// refusal is the body of an answer that opens no stream.
func (st *rawStream) refusal() string {
	st.t.Helper()
	if st.status == 200 {
		st.t.Fatal("a stream was opened")
	}
	return st.body()
}

// body reads an answer that ends.
func (st *rawStream) body() string {
	st.t.Helper()
	var body strings.Builder
	if length := st.header.Get("Content-Length"); length != "" {
		n, err := strconv.ParseInt(length, 10, 32)
		if err == nil {
			_, err = io.CopyN(&body, st.r, n)
		}
		if err != nil {
			st.t.Fatalf("reading the answer: %v", err)
		}
		return body.String()
	}
	for {
		c, err := st.chunk()
		if err == io.EOF {
			return body.String()
		}
		if err != nil {
			st.t.Fatalf("reading the answer: %v", err)
		}
		body.WriteString(c)
	}
}
