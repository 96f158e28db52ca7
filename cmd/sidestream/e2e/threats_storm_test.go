package e2e

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// When a crowd comes at once, and again after it was cut off, the app is asked
// at most once for each credential and channel; everybody gets in.
func TestReconnectStorm(t *testing.T) {
	const streams, credentials, channels = 2000, 100, 4
	f := besiege(t, "history {\n store memory\n}", "", "")
	b := f.b
	for i := range credentials {
		b.decide(fmt.Sprintf("crowd-%d", i), "", verdict{status: 200, body: fmt.Sprintf(`{"user_id":"%d"}`, i)})
	}
	storm := func() []net.Conn {
		conns := make([]net.Conn, streams)
		var refused atomic.Int64
		var work sync.WaitGroup
		for worker := range 100 {
			work.Go(func() {
				for i := worker; i < streams; i += 100 {
					conn, err := net.Dial("tcp", "127.0.0.1:"+f.port)
					if err != nil {
						refused.Add(1)
						continue
					}
					conns[i] = conn
					conn.SetDeadline(time.Now().Add(patience))
					// Streams of one credential ask for all its channels in turn.
					fmt.Fprintf(conn, "GET /flows?filter=hall-%d HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n%s\r\n\r\n", (i/credentials)%channels, f.port,
						basic(fmt.Sprintf("crowd-%d", i%credentials)))
					if head := headOf(bufio.NewReader(conn)); !strings.HasPrefix(head, "HTTP/1.1 200 ") || !strings.Contains(head, "no-transform") {
						refused.Add(1)
					}
				}
			})
		}
		work.Wait()
		if n := refused.Load(); n > 0 {
			t.Errorf("%d of %d streams were refused", n, streams)
		}
		return conns
	}
	before := len(b.asked())
	for _, conn := range storm() {
		if conn != nil {
			conn.Close()
		}
	}
	conns := storm()
	questions := map[question]int{}
	for _, q := range b.asked()[before:] {
		if questions[q]++; questions[q] > 1 {
			t.Errorf("the app was asked %d times about %s for %s", questions[q], q.channel, q.token)
		}
	}
	if len(questions) > credentials*channels {
		t.Errorf("the app was asked %d questions", len(questions))
	}
	for _, conn := range conns {
		if conn != nil {
			conn.Close()
		}
	}
}
