package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// stream is one connection of a Client.
type stream struct {
	fd      int32
	index   int32 // in Client.streams
	channel int32
	state   state
	stalled bool
	started int64  // when connect was called
	head    []byte // of the response, until it is whole
	marks   Marks
	tally   Tally
}

type state uint8

const (
	connecting state = iota
	asking           // the request is sent
	open
	over
)

// stalledBuffer is the receive buffer of a stream that reads nothing: what the
// kernel takes for it is not what is measured.
const stalledBuffer = 4 << 10

func (c *Client) connect(i int) {
	s := &c.streams[i]
	s.index, s.channel = int32(i), int32(c.config.Channel(i))
	s.stalled = c.config.Stalled != nil && c.config.Stalled(i)
	s.started = Now()
	c.pending++
	fd, err := dial(c.config, i, s.stalled)
	if err != nil {
		c.settle(s, over)
		c.outcome.Failed++
		c.note(err)
		return
	}
	s.fd = int32(fd)
	c.byFD[s.fd] = s
	c.watch(unix.EPOLL_CTL_ADD, s, unix.EPOLLOUT)
}

func dial(config Config, i int, stalled bool) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("creating a socket: %w", err)
	}
	if stalled {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, stalledBuffer)
	}
	// The port is chosen by connect, which knows that the pair is what counts.
	unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: source(i)}); err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Addr: config.Addr.Addr().As4(), Port: int(config.Addr.Port())})
	}
	if err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return -1, fmt.Errorf("connecting: %w", err)
	}
	return fd, nil
}

func (c *Client) watch(op int, s *stream, events uint32) {
	if err := unix.EpollCtl(c.epoll, op, int(s.fd), &unix.EpollEvent{Events: events, Fd: s.fd}); err != nil {
		c.note(fmt.Errorf("watching a stream: %w", err))
	}
}

// note keeps the first error.
func (c *Client) note(err error) {
	if c.outcome.FirstError == nil {
		c.outcome.FirstError = err
	}
}

// settle ends the opening of a stream, well or not.
func (c *Client) settle(s *stream, to state) {
	s.state, s.head = to, nil
	c.pending--
	c.settled.Add(1)
}

// ready acts on what epoll says of a stream and returns how many messages came.
func (c *Client) ready(s *stream, events uint32) uint64 {
	if s.state == connecting {
		if err := c.ask(s); err != nil {
			c.drop(s, err)
		}
		return 0
	}
	if s.stalled && s.state == open { // nothing else was asked for: it was reset
		c.drop(s, errors.New("reset"))
		return 0
	}
	n, err := unix.Read(int(s.fd), c.buffer)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0
	case err != nil:
		c.drop(s, err)
		return 0
	case n == 0:
		c.drop(s, io.EOF)
		return 0
	}
	b := c.buffer[:n]
	if s.state == asking {
		if b = c.readHead(s, b); b == nil {
			return 0
		}
	}
	before := s.tally.Count
	arrived := Now()
	s.marks.Scan(b, func(sent int64, number uint64) {
		s.tally.Add(number)
		c.outcome.Latency.Add(arrived - sent)
	})
	return s.tally.Count - before
}

// ask sends the request of a stream that has connected.
func (c *Client) ask(s *stream) error {
	if errno, err := unix.GetsockoptInt(int(s.fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || errno != 0 {
		return fmt.Errorf("connecting: %w", errors.Join(err, unix.Errno(errno)))
	}
	request := c.config.Request(int(s.index))
	if n, err := unix.Write(int(s.fd), request); err != nil || n < len(request) {
		return fmt.Errorf("sending the request, %d bytes taken: %w", n, err)
	}
	s.state = asking
	c.watch(unix.EPOLL_CTL_MOD, s, unix.EPOLLIN)
	return nil
}

// readHead takes bytes of the response head and returns what is behind it, nil
// if the head is not whole or the stream was refused.
func (c *Client) readHead(s *stream, b []byte) []byte {
	s.head = append(s.head, b...)
	end := bytes.Index(s.head, []byte("\r\n\r\n"))
	if end < 0 {
		return nil
	}
	head, rest := s.head[:end], s.head[end+4:]
	c.outcome.Connect.Add(Now() - s.started)
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) && !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		c.outcome.Refused++
		if bytes.Contains(bytes.ToLower(head), []byte("\r\nretry-after:")) {
			c.outcome.Told++
		}
		c.note(fmt.Errorf("refused: %.40q", head))
		c.settle(s, over)
		c.forget(s)
		return nil
	}
	c.opened.Add(1)
	c.settle(s, open)
	if s.stalled {
		c.watch(unix.EPOLL_CTL_MOD, s, 0) // errors are reported nevertheless
		return nil
	}
	return rest
}

// drop gives up a stream whose connection has ended.
func (c *Client) drop(s *stream, err error) {
	switch {
	case s.state != open:
		c.settle(s, over)
		c.outcome.Failed++
		c.note(err)
	case !s.stalled:
		c.outcome.Closed++
		c.note(fmt.Errorf("closed while open: %w", err))
	}
	s.state = over
	c.forget(s)
}

func (c *Client) forget(s *stream) {
	delete(c.byFD, s.fd)
	unix.Close(int(s.fd))
}
