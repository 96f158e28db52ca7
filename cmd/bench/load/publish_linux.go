package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Publication says what to publish, and how fast.
type Publication struct {
	// Addr is the server's address, Path where a channel's messages go.
	Addr string
	Path func(channel int) string
	// Channels are taken in turn, messages are Size bytes long.
	Channels, Size int
	// Senders is how many keep-alive connections post, each one message at a
	// time.
	Senders int
	// Careless senders do not look whether the server has ended their idle
	// connection before they send.
	Careless bool
	// Rate is messages a second. Zero: a closed loop, in which at most Window
	// messages are on their way to the streams of To. Without To, as fast as
	// they are acknowledged.
	Rate   float64
	Window int
	// PerMessage is how many streams get each message.
	PerMessage int
	To         *Client
	// It ends after Duration, or after Messages if that is not zero.
	Duration time.Duration
	Messages int
}

// Published is what became of it.
type Published struct {
	Acked, Failed, Retried uint64
	// Sent are the acknowledged messages by channel.
	Sent []Tally
	// Acknowledged is the time from the request to its answer.
	Acknowledged Histogram
	Elapsed      time.Duration
	FirstError   error
}

// numbers are given out once in a process, so that no server takes two
// messages for one.
var numbers atomic.Uint64

// Publish posts until the time is over.
func Publish(ctx context.Context, p Publication) *Published {
	run := &publishing{
		Publication: p, ctx: ctx, begun: Now(),
		result: Published{Sent: make([]Tally, p.Channels)},
	}
	run.end = run.begun + int64(p.Duration)
	if p.To != nil {
		run.already = p.To.Received()
	}
	var wg sync.WaitGroup
	for range p.Senders {
		wg.Go(run.send)
	}
	wg.Wait()
	run.result.Elapsed = time.Duration(Now() - run.begun)
	return &run.result
}

// publishing is one run of Publish.
type publishing struct {
	Publication
	ctx        context.Context
	begun, end int64
	issued     atomic.Uint64 // messages
	already    uint64        // deliveries of before

	window sync.Mutex // held by the sender that waits for its turn

	mu     sync.Mutex
	result Published
}

// tries is how often a message is posted before it is given up: a server that
// reloads may drop a connection, and webhooks are repeated as well.
const tries = 5

// send is one sender.
func (p *publishing) send() {
	c := &poster{addr: p.Addr, careless: p.Careless}
	defer c.close()
	own := Published{Sent: make([]Tally, p.Channels)}
	var body []byte
	for {
		stamp, turn, ok := p.turn()
		if !ok {
			break
		}
		channel := int(turn % uint64(p.Channels))
		number := numbers.Add(1)
		body = AppendMessage(body[:0], channel, stamp, number, p.Size)
		var err error
		for try := range tries {
			start := Now()
			if err = c.post(p.Path(channel), body); err == nil {
				own.Acknowledged.Add(Now() - start)
				break
			}
			if own.FirstError == nil {
				own.FirstError = err
			}
			own.Retried++
			p.pause(time.Duration(1+try*try*10) * time.Millisecond)
		}
		if err != nil {
			own.Failed++
			continue
		}
		own.Acked++
		own.Sent[channel].Add(number)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &p.result
	r.Acked, r.Failed, r.Retried = r.Acked+own.Acked, r.Failed+own.Failed, r.Retried+own.Retried
	r.Acknowledged.Merge(&own.Acknowledged)
	for i := range own.Sent {
		r.Sent[i].Merge(own.Sent[i])
	}
	if r.FirstError == nil {
		r.FirstError = own.FirstError
	}
}

// turn waits until the next message may go. Its stamp is the time that it was
// due: a server that holds its senders up does not look the faster for it.
func (p *publishing) turn() (stamp int64, turn uint64, ok bool) {
	if p.Rate == 0 && p.To != nil {
		p.window.Lock()
		defer p.window.Unlock()
		for p.onTheirWay() >= p.Window*p.PerMessage {
			if Now() >= p.end || p.To.wait(p.ctx) != nil {
				return 0, 0, false
			}
		}
	}
	turn = p.issued.Add(1) - 1
	if p.Messages > 0 && turn >= uint64(p.Messages) {
		return 0, 0, false
	}
	stamp = Now()
	if p.Rate > 0 {
		stamp = p.begun + int64(float64(turn)/p.Rate*1e9)
		if stamp < p.end {
			p.pause(time.Duration(stamp - Now()))
		}
	}
	return stamp, turn, stamp < p.end && p.ctx.Err() == nil
}

// onTheirWay is how many deliveries are still to come.
func (p *publishing) onTheirWay() int {
	return int(p.issued.Load())*p.PerMessage - int(p.To.Received()-p.already)
}

func (p *publishing) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.ctx.Done():
	}
}
