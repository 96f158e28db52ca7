package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// peak is the most memory that the process has had since forgetPeak, in bytes.
func (p *process) peak(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(b)
	if found == nil {
		t.Fatal("the process has no peak")
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

func (p *process) forgetPeak(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0o200); err != nil {
		t.Fatal(err)
	}
}

// Strangers who post what no token or signature vouches for cost little memory,
// whatever they post, and keep nobody out whose deliveries are small. When bodies
// were taken apart before they were verified, the first of these attacks alone made
// the process grow by 12 GiB.
func TestUnverifiedDeliveriesCostLittleMemory(t *testing.T) {
	const token = "the-token-of-mattermost-123"
	b := newBackend(t)
	s := start(t, b.directives(`webhook /hooks/mattermost {
			preset mattermost
			secret `+token+`
		}
		history {
			store memory
		}`))
	s.publish("calm", 1, "before")

	// The good deliveries are paced: they are stored, and what thousands of them
	// take would be counted as the attack's.
	const pace = 20 * time.Millisecond
	for _, attack := range []struct {
		name string
		run  func()
	}{
		{"MessagePack by its Content-Type", func() {
			body := append([]byte{0xdd, 0, 0x0f, 0xff, 0xf0}, bytes.Repeat([]byte{0x80}, 0xffff0)...)
			s.flood(20, 8, "/hooks/mattermost", "application/msgpack", body)
		}},
		{"JSON of nothing but objects", func() {
			body := []byte("[" + strings.Repeat("{},", 100_000) + "{}]")
			s.flood(100, 8, "/hooks/mattermost", "application/json", body)
		}},
		{"JSON of few objects and a token", func() {
			body := []byte(`{"token":"wrong","x":[` + strings.Repeat("{},", 90_000) + "{}]}")
			s.flood(100, 8, "/hooks/mattermost", "application/json", body)
		}},
		{"a form of many fields", func() {
			s.flood(100, 8, "/hooks/mattermost", "application/x-www-form-urlencoded", []byte(strings.Repeat("a=b&", 200_000)))
		}},
		{"slow bodies for a signed hook", func() { s.slowBodies(1000, "/hooks/own") }},
	} {
		t.Run(attack.name, func(t *testing.T) {
			idle := s.resident(t)
			s.forgetPeak(t)
			over := make(chan struct{})
			go func() {
				defer close(over)
				attack.run()
			}()
			taken, refused := 0, 0
			for done := false; !done || taken < 3; {
				status, _, err := try(mattermostPost(t, s.url, token, taken))
				switch {
				case err == nil && status == 200:
					taken++
				case err == nil && status == 503:
					refused++
				default:
					t.Fatalf("a good delivery got %d, %v", status, err)
				}
				select {
				case <-over:
					done = true
				case <-time.After(pace):
				}
			}
			grown := s.peak(t) - idle
			t.Logf("the process grew by %d MiB; %d good deliveries were taken, %d got 503", grown>>20, taken, refused)
			if grown > 200<<20 {
				t.Errorf("the process grew by %d MiB", grown>>20)
			}
			if refused > taken {
				t.Errorf("%d good deliveries were refused, %d taken", refused, taken)
			}
		})
	}
	s.publish("calm", 2, "after")
}

func mattermostPost(t *testing.T, url, token string, n int) *http.Request {
	t.Helper()
	body := fmt.Sprintf(`{"token":%q,"channel_id":"calm","post_id":"p%d-%d","text":"hi"}`, token, time.Now().UnixNano(), n)
	req, err := http.NewRequest(http.MethodPost, url+"/hooks/mattermost", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	return req
}

// flood posts a body over several connections, several times over each.
func (s *server) flood(connections, times int, path, contentType string, body []byte) {
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for range times {
				resp, err := client.Post(s.url+path, contentType, bytes.NewReader(body))
				if err != nil {
					continue // it was refused before it was read
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	wg.Wait()
}

// slowBodies sends bodies of 1 MiB but for their last byte, all at once, and keeps
// them waiting until the server has had enough of most of them.
func (s *server) slowBodies(connections int, path string) {
	var wg sync.WaitGroup
	var sent atomic.Int64
	body := bytes.Repeat([]byte{' '}, 1<<20-1)
	for range connections {
		wg.Go(func() {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				return
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, 1<<20)
			n, _ := conn.Write(body)
			sent.Add(int64(n))
			_, _ = io.Copy(io.Discard, conn) // until the server ends it
		})
	}
	wg.Wait()
}
