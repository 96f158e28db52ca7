package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Config says which streams to open.
type Config struct {
	// Addr is the server's; a loopback address.
	Addr netip.AddrPort
	// Streams to open, and how many may be on their way at a time (default
	// 256).
	Streams, AtOnce int
	// Request is what the i-th stream sends.
	Request func(i int) []byte
	// Channel is which channel the i-th stream listens to, of so many.
	Channel  func(i int) int
	Channels int
	// Stalled are those that read nothing once they are open. Default: none.
	Stalled func(i int) bool
}

// Client holds streams open and reads them, with one goroutine for all.
type Client struct {
	config  Config
	epoll   int
	streams []stream
	byFD    map[int32]*stream
	pending int // of those on their way
	next    int // stream to open

	received atomic.Uint64
	settled  atomic.Int64 // streams that are open, refused or failed
	opened   atomic.Int64
	progress chan struct{}
	stop     atomic.Bool
	done     chan struct{}
	broken   error // why the loop ended early

	outcome Outcome
	buffer  []byte
}

// Outcome is what became of the streams.
type Outcome struct {
	Opened int
	// Refused counts other statuses than 200, and Told those of them that said
	// when to come back.
	Refused, Told int
	// Failed are connections that broke before an answer, Closed those that
	// ended after they had been opened, those of the stalled aside.
	Failed, Closed int
	// FirstError is one example of what went wrong.
	FirstError error
	// Connect is the time from connect(2) to the whole response head, Latency
	// that from a message's timestamp to its arrival.
	Connect, Latency Histogram
}

// Open begins to open the streams and returns when each is open, refused or
// failed. Close the Client also after an error.
func Open(ctx context.Context, config Config) (*Client, error) {
	if !config.Addr.Addr().IsLoopback() || !config.Addr.Addr().Is4() {
		return nil, fmt.Errorf("%s is no IPv4 loopback address", config.Addr)
	}
	if config.AtOnce == 0 {
		config.AtOnce = 256
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("creating epoll instance: %w", err)
	}
	c := &Client{
		config: config, epoll: epoll,
		streams: make([]stream, config.Streams), byFD: make(map[int32]*stream, config.Streams),
		progress: make(chan struct{}, 1), done: make(chan struct{}), buffer: make([]byte, 256<<10),
	}
	go c.loop()
	for c.settled.Load() < int64(config.Streams) {
		if err := c.wait(ctx); err != nil {
			return c, fmt.Errorf("%d of %d streams settled: %w", c.settled.Load(), config.Streams, err)
		}
	}
	return c, nil
}

// patience is how long nothing may happen before it is given up.
const patience = 20 * time.Second

var errStalled = errors.New("nothing has come for a long time")

// wait returns when something has come.
func (c *Client) wait(ctx context.Context) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.progress:
		return nil
	case <-c.done:
		return errors.Join(errors.New("the client has ended"), c.broken)
	case <-timer.C:
		return errStalled
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Opened is the count of streams that were opened, also of those that ended
// since.
func (c *Client) Opened() int { return int(c.opened.Load()) }

// Received is the count of messages that came, on all streams.
func (c *Client) Received() uint64 { return c.received.Load() }

// Await returns when so many messages have come, or none has for quiet.
func (c *Client) Await(ctx context.Context, messages uint64, quiet time.Duration) {
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for c.Received() < messages {
		select {
		case <-c.progress:
			timer.Reset(quiet)
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// Close ends all streams and tells what became of them. Call it once.
func (c *Client) Close() *Outcome {
	c.stop.Store(true)
	<-c.done
	c.outcome.Opened = c.Opened()
	return &c.outcome
}

// Compare checks each stream that read against what was published on its
// channel. Call it after Close.
func (c *Client) Compare(published []Tally) (lost, extra uint64) {
	for i := range c.streams {
		s := &c.streams[i]
		if s.state != open || s.stalled {
			continue
		}
		l, e := Compare(published[s.channel], s.tally)
		lost, extra = lost+l, extra+e
	}
	return lost, extra
}

// loop opens, reads and closes.
func (c *Client) loop() {
	defer close(c.done)
	defer c.closeAll()
	events := make([]unix.EpollEvent, 512)
	for !c.stop.Load() {
		for c.next < len(c.streams) && c.pending < c.config.AtOnce {
			c.connect(c.next)
			c.next++
		}
		n, err := unix.EpollWait(c.epoll, events, 50)
		if err != nil && !errors.Is(err, unix.EINTR) {
			c.broken = fmt.Errorf("waiting for streams: %w", err)
			return
		}
		before := c.received.Load()
		got := before
		for _, e := range events[:max(n, 0)] {
			if s := c.byFD[e.Fd]; s != nil {
				got += c.ready(s, e.Events)
			}
		}
		c.received.Store(got)
		if n > 0 {
			select {
			case c.progress <- struct{}{}:
			default:
			}
		}
	}
}

func (c *Client) closeAll() {
	for _, s := range c.byFD {
		// With a reset nothing lingers in the kernel for the next measurement.
		unix.SetsockoptLinger(int(s.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		unix.Close(int(s.fd))
	}
	unix.Close(c.epoll)
}
