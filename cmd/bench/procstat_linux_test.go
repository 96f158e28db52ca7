package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

func TestThisProcess(t *testing.T) {
	pid := os.Getpid()
	if n, err := residentBytes(pid); err != nil || n < 1<<20 {
		t.Errorf("resident: %d, %v", n, err)
	}
	if n, err := descriptors(pid); err != nil || n < 3 {
		t.Errorf("descriptors: %d, %v", n, err)
	}
	before, err := processorTime(pid)
	if err != nil || before <= 0 {
		t.Errorf("processor time: %s, %v", before, err)
	}
	for range 1_000_000 { // far less than a tick of /proc
	}
	if after, err := processorTime(pid); err != nil || after <= before {
		t.Errorf("processor time: %s after %s, %v", after, before, err)
	}
	if _, err := storageBytes(t.TempDir()); err != nil {
		t.Error(err)
	}
}

// A peer is found by the port on which it listens.
func TestPeerIsFound(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := parsePeer(fmt.Sprintf("nchan=http://%[1]s/sub/{channel}?x=1,http://%[1]s/pub?id={channel}", l.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.server()
	if err != nil || s.pid != os.Getpid() {
		t.Fatalf("%+v, %v", s, err)
	}
	if got := string(s.request(7)); !strings.HasPrefix(got, "GET /sub/7?x=1 HTTP/1.1\r\nHost: 127.0.0.1:") {
		t.Errorf("the request is %q", got)
	}
	if got := s.publish(7); got != "/pub?id=7" {
		t.Errorf("messages go to %q", got)
	}
	for _, bad := range []string{
		"", "x", "x=http://127.0.0.1:80/{channel}", "=http://127.0.0.1:80/{channel},http://127.0.0.1:80/{channel}",
		"x=http://127.0.0.1:80/a,http://127.0.0.1:80/{channel}", "x=https://127.0.0.1:80/{channel},http://127.0.0.1:80/{channel}",
		"x=http://192.0.2.1:80/{channel},http://127.0.0.1:80/{channel}", "x=http://127.0.0.1/{channel},http://127.0.0.1/{channel}",
	} {
		if _, err := parsePeer(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
