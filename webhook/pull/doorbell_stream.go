package pull

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"
)

const (
	// maxRing bounds one message of a doorbell, in bytes.
	maxRing = 1 << 20
	// pingEvery is how often a WebSocket is asked whether it still lives, and
	// pingWait how long it may take to say so.
	pingEvery = 30 * time.Second
	pingWait  = 10 * time.Second
	// silence is how long server-sent events may say nothing at all.
	silence = 5 * time.Minute
)

// withoutAddress takes the address out of an error of net/http: it may hold a secret.
func withoutAddress(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// hearWebSocket listens to a WebSocket until it ends.
func (d *Doorbell) hearWebSocket(ctx context.Context) error {
	u, err := d.address("")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dialing, dialed := context.WithTimeout(ctx, 30*time.Second)
	c, _, err := websocket.Dial(dialing, u.String(), &websocket.DialOptions{HTTPClient: d.client, HTTPHeader: d.header(), Host: d.host()})
	dialed()
	if err != nil {
		return fmt.Errorf("opening a WebSocket: %w", withoutAddress(err))
	}
	defer c.CloseNow()
	c.SetReadLimit(maxRing)
	for _, text := range d.bell.Send {
		text = strings.NewReplacer("{token}", d.bell.Token, "{user}", d.bell.User).Replace(text)
		if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			return fmt.Errorf("sending over a WebSocket: %w", err)
		}
	}
	d.open()
	pinged := make(chan struct{})
	defer func() { cancel(); <-pinged }()
	go func() { // ends with ctx
		defer close(pinged)
		d.ping(ctx, c)
	}()
	for {
		_, message, err := c.Read(ctx)
		if err != nil {
			return fmt.Errorf("reading a WebSocket: %w", err)
		}
		d.ring(message)
	}
}

// ping makes sure that a WebSocket that no longer answers is closed.
func (d *Doorbell) ping(ctx context.Context, c *websocket.Conn) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		waiting, done := context.WithTimeout(ctx, pingWait)
		err := c.Ping(waiting)
		done()
		if err != nil {
			c.CloseNow()
			return
		}
	}
}

// hearEvents listens to server-sent events until they end.
func (d *Doorbell) hearEvents(ctx context.Context) error {
	u, err := d.address("")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return errAddress
	}
	req.Header, req.Host = d.header(), d.host()
	req.Header.Set("Accept", "text/event-stream")
	resp, err := d.client.Do(req)
	if err != nil {
		return fmt.Errorf("opening server-sent events: %w", withoutAddress(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("opening server-sent events: the app answers %d", resp.StatusCode)
	}
	d.open()
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 4<<10), maxRing)
	var data [][]byte
	size := 0
	for lines.Scan() {
		quiet.Reset(silence)
		line := bytes.TrimSuffix(lines.Bytes(), []byte("\r"))
		if text, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			text = bytes.TrimPrefix(text, []byte(" "))
			if size += len(text); size <= maxRing {
				data = append(data, bytes.Clone(text))
			}
			continue
		}
		if len(line) == 0 && len(data) > 0 {
			d.ring(bytes.Join(data, []byte("\n")))
			data, size = nil, 0
		}
	}
	return fmt.Errorf("reading server-sent events: %w", errOr(lines.Err(), errEnded))
}

var errEnded = errors.New("the app has ended them")
