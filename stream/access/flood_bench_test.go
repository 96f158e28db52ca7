package access

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkUnderFlood is how long good clients wait for a verdict beside floods
// of questions, of a backend that takes 2 ms for an answer; p99-ms is what counts.
//
//	go test -run - -bench UnderFlood -benchtime 300x ./stream/access
func BenchmarkUnderFlood(b *testing.B) {
	var closed []string
	for i := range 60 {
		closed = append(closed, fmt.Sprint("closed", i))
	}
	address := netip.MustParseAddr("198.51.100.9")
	one := func(channel string) func(g *Gate, i int) {
		return func(g *Gate, i int) {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			g.Check(ctx, Question{
				Credential: NewCredential(Input{"token", fmt.Sprint("m", i)}), Client: fmt.Sprint("m", i), Address: address,
				Channel: fmt.Sprint(channel, i),
			})
		}
	}
	for _, flood := range []struct {
		name    string
		clients int
		ask     func(g *Gate, i int)
	}{
		{"none", 0, nil},
		{"200 ask for 60 closed rooms", 200, func(g *Gate, i int) {
			q := Question{Credential: NewCredential(Input{"token", fmt.Sprint("m", i)}), Client: fmt.Sprint("m", i), Address: address}
			g.CheckAll(context.Background(), q, closed, true)
		}},
		{"200 ask for rooms that fail", 200, one("fail")},
		{"200 ask for rooms that hang", 200, one("hang")},
	} {
		b.Run(flood.name, func(b *testing.B) {
			g := New(Config{}, func(ctx context.Context, q Question) Verdict {
				switch {
				case strings.HasPrefix(q.Channel, "hang"):
					<-ctx.Done()
					return Verdict{}
				case strings.HasPrefix(q.Channel, "fail"):
					time.Sleep(2 * time.Millisecond)
					return Verdict{Cause: Unavailable}
				case strings.HasPrefix(q.Channel, "closed"):
					time.Sleep(2 * time.Millisecond)
					return Verdict{Outcome: Denied, Cause: Forbidden}
				}
				time.Sleep(2 * time.Millisecond)
				return Verdict{Outcome: Allowed}
			})
			stop, work := make(chan struct{}), sync.WaitGroup{}
			for c := range flood.clients {
				work.Go(func() {
					for i := c; ; i += flood.clients {
						select {
						case <-stop:
							return
						default:
							flood.ask(g, i)
						}
					}
				})
			}
			var waits []time.Duration
			refused := 0
			for i := 0; b.Loop(); i++ {
				q := Question{
					Credential: NewCredential(Input{"token", fmt.Sprint("g", i)}), Client: fmt.Sprint("g", i),
					Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), Channel: fmt.Sprint(i),
				}
				begun := time.Now()
				if v := g.Check(b.Context(), q); v.Outcome != Allowed {
					refused++
				}
				waits = append(waits, time.Since(begun))
			}
			close(stop)
			g.Close()
			work.Wait()
			slices.Sort(waits)
			b.ReportMetric(float64(waits[len(waits)*99/100])/1e6, "p99-ms")
			b.ReportMetric(100*float64(refused)/float64(len(waits)), "refused-%")
		})
	}
}
