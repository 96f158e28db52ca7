package load

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// poster posts over one keep-alive connection. It does the least that HTTP
// asks for: what the sender needs of the processor, the server does not get.
type poster struct {
	addr string
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	// careless: it does not look whether the server has ended an idle connection.
	careless bool
}

// postTimeout bounds one request.
const postTimeout = 30 * time.Second

// post sends one request and reads its answer. After an error the next one has
// a new connection.
func (p *poster) post(path string, body []byte) error {
	if p.conn != nil && !p.careless && stale(p.conn) {
		p.close()
	}
	if p.conn == nil {
		c, err := net.DialTimeout("tcp", p.addr, postTimeout)
		if err != nil {
			return fmt.Errorf("connecting: %w", err)
		}
		p.conn, p.in = c, bufio.NewReader(c)
	}
	b := append(p.out[:0], "POST "...)
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, p.addr...)
	b = append(b, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\n\r\n"...)
	p.out = append(b, body...)
	p.conn.SetDeadline(time.Now().Add(postTimeout))
	if _, err := p.conn.Write(p.out); err != nil {
		p.close()
		return fmt.Errorf("posting: %w", err)
	}
	status, last, err := readAnswer(p.in)
	if err != nil || last {
		p.close()
	}
	switch {
	case err != nil:
		return fmt.Errorf("reading the answer: %w", err)
	case status < 200 || status > 299:
		return fmt.Errorf("answered with status %d", status)
	}
	return nil
}

func (p *poster) close() {
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}

// readAnswer reads a response whose body, if any, has a Content-Length. last is
// set if the server ends the connection after it.
func readAnswer(in *bufio.Reader) (status int, last bool, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, true, err
	}
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, true, fmt.Errorf("no status line: %.40q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, true, fmt.Errorf("no status line: %.40q", line)
	}
	length := 0
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return status, true, err
		}
		name, value, found := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		if !found {
			break // the empty line
		}
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return status, true, fmt.Errorf("content-length %.20q", value)
			}
		case bytes.EqualFold(name, []byte("connection")):
			last = bytes.EqualFold(value, []byte("close"))
		}
	}
	_, err = io.CopyN(io.Discard, in, int64(length))
	return status, last, err
}
