package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// resident is how much memory the process has, in bytes.
func (p *process) resident(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`VmRSS:\s*(\d+) kB`).FindSubmatch(b)
	if found == nil {
		t.Fatal("the process has no memory")
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// survives checks that a flood costs little memory, few questions, and that
// good clients notice nothing: one that was there before, and one that comes.
func (f *fortress) survives(t *testing.T, maxQuestions int, flood func(t *testing.T)) {
	t.Helper()
	s := f.server.forTest(t)
	good := s.open("/flows?filter=calm", basic(goodToken))
	before, asked := f.resident(t), len(f.b.asked())
	done := make(chan struct{})
	go func() {
		defer close(done)
		flood(t)
	}()
	n := 0
	for over := false; !over || n < 3; n++ {
		text := fmt.Sprintf("calm %d of %s.", n, t.Name())
		eventually(t, "a message is taken", func() bool { return f.trySay("calm", int(time.Now().UnixNano()), text) })
		good.until(text)
		select {
		case <-done:
			over = true
		default:
		}
	}
	late := s.open("/flows?filter=calm", basic(goodToken))
	if late.status != 200 {
		t.Errorf("a good client that comes gets %d", late.status)
	}
	if got := len(f.b.asked()) - asked; got > maxQuestions {
		t.Errorf("the app was asked %d times, want %d at most", got, maxQuestions)
	}
	if after := f.resident(t); after > 2*before+(64<<20) {
		t.Errorf("the process grew from %d to %d MiB", before>>20, after>>20)
	}
}

// Floods of all kinds, one after the other, against one server.
func TestFloods(t *testing.T) {
	f := besiege(t, `history {
			store memory
		}
		webhook /hooks/open {
			verify none
			gzip
			body_timeout 2s
			map channel {json.channel}
			map id      {json.id}
			map body    {json.text}
		}`, "", "")
	f.b.decide(mallory, "open", verdict{status: 200, body: `{"user_id":"666"}`})
	post := func(t *testing.T, body []byte, header ...string) int {
		req, err := http.NewRequest(http.MethodPost, f.url+"/hooks/open", bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return 0
		}
		req.Header.Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		status, _, err := try(req)
		if err != nil {
			return 0
		}
		return status
	}

	t.Run("gzip bombs", func(t *testing.T) {
		var bomb bytes.Buffer
		w := gzip.NewWriter(&bomb)
		io.CopyN(w, zeros{}, 64<<20)
		w.Close()
		f.survives(t, 2, func(t *testing.T) {
			for range 50 {
				if status := post(t, bomb.Bytes(), "Content-Encoding", "gzip"); status != 413 {
					t.Errorf("a bomb: %d", status)
				}
			}
		})
	})
	t.Run("deep and odd JSON", func(t *testing.T) {
		f.survives(t, 2, func(t *testing.T) {
			for _, body := range []string{
				strings.Repeat("[", 500_000), strings.Repeat(`{"a":`, 150_000), `{"a":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`,
				`{` + strings.Repeat(`"a":1,`, 100_000) + `"a":1}`, `{"id":` + strings.Repeat("9", 500_000) + `}`, `{"text":"` + strings.Repeat(`\u0000`, 100_000) + `"}`,
				`{"id":1e999999999,"channel":"calm"}`, strings.Repeat("\x00", 1000), `"` + strings.Repeat("x", 2<<20) + `"`,
			} {
				for range 10 {
					if status := post(t, []byte(body)); status >= 500 {
						t.Errorf("%.20q: %d", body, status)
					}
				}
			}
		})
	})
	t.Run("denied rooms", func(t *testing.T) {
		f.survives(t, 1000+2, func(t *testing.T) {
			var work sync.WaitGroup
			for worker := range 8 {
				work.Go(func() {
					client := &http.Client{Transport: &http.Transport{}}
					defer client.CloseIdleConnections()
					for i := range 125 {
						req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/room/denied-%d-%d/live.json", f.url, worker, i), nil)
						if err != nil {
							return
						}
						req.SetBasicAuth(mallory, "x")
						resp, err := client.Do(req)
						if err != nil {
							continue
						}
						io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
						if resp.StatusCode != 403 && resp.StatusCode != 503 {
							t.Errorf("a denied room: %d", resp.StatusCode)
						}
					}
				})
			}
			work.Wait()
		})
	})
	t.Run("thousands of filters", func(t *testing.T) {
		f.survives(t, 2, func(t *testing.T) {
			var filter strings.Builder
			for i := range 4_000 {
				fmt.Fprintf(&filter, "f/%d,", i)
			}
			for range 50 {
				r := f.fetch(t, "http/1.1", "GET", "/flows?filter="+filter.String(), basic(mallory))
				r.end()
				if r.status != 400 && r.status != http.StatusRequestHeaderFieldsTooLarge {
					t.Errorf("%d", r.status)
				}
			}
		})
	})
	t.Run("slow heads and bodies", func(t *testing.T) {
		var conns []net.Conn
		defer func() {
			for _, c := range conns {
				c.Close()
			}
		}()
		f.survives(t, 2, func(t *testing.T) {
			for i := range 400 {
				c, err := net.Dial("tcp", "127.0.0.1:"+f.port)
				if err != nil {
					t.Error(err)
					return
				}
				conns = append(conns, c)
				if i%2 == 0 {
					io.WriteString(c, "GET /room/open/live.json HTTP/1.1\r\nHost: x\r\nX-Slow: ")
				} else {
					io.WriteString(c, "POST /hooks/open HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{")
				}
			}
		})
		// A body that does not come is given up by itself.
		conns[1].SetDeadline(time.Now().Add(patience))
		if answer, _ := io.ReadAll(conns[1]); !strings.HasPrefix(string(answer), "HTTP/1.1 408") {
			t.Errorf("a slow body: %q", answer)
		}
	})
	t.Run("rapid resets", func(t *testing.T) {
		f.survives(t, 4, func(t *testing.T) {
			for _, target := range []string{"/room/open/live.json", "/room/shut/live.json"} {
				rapidResets(t, f, target, 2000)
			}
		})
	})
	t.Run("bad tokens", func(t *testing.T) {
		good := f.server.forTest(t).open("/flows?filter=calm", basic(goodToken))
		asked, limited := len(f.b.asked()), 0
		for i := range 300 {
			r := f.fetch(t, "http/1.1", "GET", "/room/open/live.json", basic(fmt.Sprintf("guess-%d", i)))
			r.end()
			if r.status == http.StatusTooManyRequests {
				limited++
			}
		}
		if got := len(f.b.asked()) - asked; limited < 200 || got > 60 {
			t.Errorf("of 300 guesses %d were put off, and the app was asked %d times", limited, got)
		}
		f.publish("calm", 1, "still calm")
		good.until("still calm")
	})
}

// zeros is an endless row of them.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// rapidResets opens streams over one HTTP/2 connection and resets each at once.
func rapidResets(t *testing.T, f *fortress, target string, n int) {
	conn, err := tls.Dial("tcp", "127.0.0.1:"+f.tlsPort, f.tlsConfig("h2"))
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.WriteSettings()
	go io.Copy(io.Discard, conn)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := range n {
		block.Reset()
		for _, field := range []hpack.HeaderField{
			{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: f.authority("h2")}, {Name: ":path", Value: target},
			{Name: "authorization", Value: strings.TrimPrefix(basic(mallory), "Authorization: ")},
		} {
			encoder.WriteField(field)
		}
		id := uint32(2*i + 1)
		if framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true}) != nil ||
			framer.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			return // the server has had enough
		}
	}
}
