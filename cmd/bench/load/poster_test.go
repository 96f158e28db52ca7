package load

import (
	"bufio"
	"strings"
	"testing"
)

func TestReadAnswer(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		status       int
		last, bad    bool
	}{
		{name: "no body", answer: "HTTP/1.1 204 No Content\r\n\r\n", status: 204},
		{name: "with a body", answer: "HTTP/1.1 201 Created\r\nContent-Length: 2\r\nServer: Caddy\r\n\r\nok", status: 201},
		{name: "the last one", answer: "HTTP/1.1 503 x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", status: 503, last: true},
		{name: "nothing", answer: "", bad: true},
		{name: "another protocol", answer: "SSH-2.0-OpenSSH\r\n\r\n", bad: true},
		{name: "cut in the head", answer: "HTTP/1.1 200 OK\r\nContent-", bad: true},
		{name: "cut in the body", answer: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", bad: true},
	} {
		in := bufio.NewReader(strings.NewReader(c.answer))
		status, last, err := readAnswer(in)
		if c.bad {
			if err == nil {
				t.Errorf("%s: no error", c.name)
			}
			continue
		}
		if err != nil || status != c.status || last != c.last || in.Buffered() > 0 {
			t.Errorf("%s: status %d, last %t, %d bytes unread, error %v", c.name, status, last, in.Buffered(), err)
		}
	}
}
