package conn

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/conn/certtest"
)

// hears collects what a peer sends until it is as long as it should be.
func hears(t *testing.T, p *Poller, c Conn, n int) []byte {
	t.Helper()
	var got []byte
	take := func(b []byte) { got = append(got, b...) }
	gone := c.Read(take) // what was read ahead
	for deadline := time.Now().Add(20 * time.Second); len(got) < n && !gone; {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes of %d came", len(got), n)
		}
		events, err := p.Wait(nil, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Readable && c.Read(take) {
				gone = true
			}
		}
	}
	return got
}

// What a peer says is heard, whole and in order, however much it is; and what it
// says at once is no more than one Read takes.
func TestPeerIsHeard(t *testing.T) {
	forAll(t, func(t *testing.T, client net.Conn, c Conn, p *Poller) {
		if c.Kind() == Handler {
			return // the server's business
		}
		want := make([]byte, 1<<20)
		rand.Read(want)
		for _, piece := range []int{1, 100, len(want) - 101} {
			go client.Write(want[:piece])
			if got := hears(t, p, c, piece); !bytes.Equal(got, want[:piece]) {
				t.Fatalf("%d bytes were heard, and are not the %d that were sent", len(got), piece)
			}
			want = want[piece:]
		}
	})
}

// A peer that talks without end is not read without end.
func TestReadIsBounded(t *testing.T) {
	forAll(t, func(t *testing.T, client net.Conn, c Conn, p *Poller) {
		if c.Kind() == Handler {
			return
		}
		const all = 8 << 20
		go client.Write(make([]byte, all))
		for total := 0; total < all; {
			events, err := p.Wait(nil, 20*time.Second)
			if err != nil || len(events) == 0 {
				t.Fatalf("after %d bytes: %v, %v", total, events, err)
			}
			for _, e := range events {
				got := 0
				if e.Readable && c.Read(func(b []byte) { got += len(b) }) {
					t.Fatal("the peer is gone")
				}
				if total += got; got > 2*readAhead {
					t.Fatalf("one Read took %d bytes", got)
				}
			}
		}
	})
}

// Whoever hears the peer may close the connection.
func TestCloseWhileReading(t *testing.T) {
	forAll(t, func(t *testing.T, client net.Conn, c Conn, p *Poller) {
		if c.Kind() == Handler {
			return
		}
		go client.Write(make([]byte, 100_000))
		for heard := false; !heard; {
			events, err := p.Wait(nil, 20*time.Second)
			if err != nil || len(events) == 0 {
				t.Fatal(events, err)
			}
			for _, e := range events {
				if e.Readable && !heard {
					c.Read(func([]byte) {
						if heard {
							t.Fatal("heard after it was closed")
						}
						heard = true
						c.Close()
					})
				}
			}
		}
	})
}

// What a server has decrypted together with the request is not lost.
func TestTLSReadAheadIsHeard(t *testing.T) {
	client, server := tlsPair(t)
	if _, err := client.Write([]byte("request;behind it")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(server, make([]byte, len("request;"))); err != nil {
		t.Fatal(err)
	}
	c := TakeOver(server, Plain, Options{})
	defer c.Close()
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := c.Watch(p, 7); err != nil {
		t.Fatal(err)
	}
	if got := hears(t, p, c, len("behind it")); string(got) != "behind it" {
		t.Errorf("got %q", got)
	}
}

// A TLS 1.3 client may change its keys at any time, and ask the server to do the
// same (RFC 8446, 4.6.3). crypto/tls answers when it reads.
func TestClientChangesItsKeys(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd := exec.Command("openssl", "s_client", "-connect", l.Addr().String(), "-tls1_3")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatalf("this test needs openssl: %v", err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server := tls.Server(nc, certtest.New(t).Server())
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	c := TakeOver(server, Plain, Options{})
	defer c.Close()
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := c.Watch(p, 7); err != nil {
		t.Fatal(err)
	}
	says := make(chan byte, 1<<16) // what openssl prints
	go func() {
		r := bufio.NewReader(stdout)
		for {
			b, err := r.ReadByte()
			if err != nil {
				close(says)
				return
			}
			says <- b
		}
	}()
	await := func(word string) {
		t.Helper()
		for seen := ""; !strings.HasSuffix(seen, word); {
			select {
			case b, ok := <-says:
				if !ok {
					t.Fatalf("it ended before %q", word)
				}
				seen += string(b)
			case <-time.After(20 * time.Second):
				t.Fatalf("it did not say %q", word)
			}
		}
	}
	say := func(line string) {
		t.Helper()
		if n, err := c.Write([][]byte{[]byte(line)}); n != len(line) || err != nil {
			t.Fatalf("writing %q: %d, %v", line, n, err)
		}
		await(line)
	}
	say("before")
	for _, round := range []string{"one", "two", "three"} {
		server.SetWriteDeadline(time.Unix(1, 0)) // as it is when a stream was silent for a while
		io.WriteString(stdin, "K\n")             // new keys, and the server's as well, please
		await("KEYUPDATE\n")
		io.WriteString(stdin, "still here\n")
		if got := hears(t, p, c, len("still here\n")); string(got) != "still here\n" {
			t.Fatalf("heard %q", got)
		}
		say("after " + round)
	}
}
