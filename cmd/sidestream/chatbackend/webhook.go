package chatbackend

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// How webhooks are tried again, and how many may wait.
const (
	firstRetry  = 250 * time.Millisecond
	slowestTry  = 15 * time.Second
	tryTimeout  = 10 * time.Second
	maxWaiting  = 10_000 // of each room
	maxAnswer   = 4 << 10
	secretStart = "whsec_"
)

// ErrSecret is the error of a Secret that cannot sign. It does not repeat the secret.
var ErrSecret = errors.New(`a webhook secret is "whsec_" and 24 to 64 bytes in base64`)

// NewSecret makes a random webhook secret.
func NewSecret() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails (crypto/rand)
	return secretStart + base64.StdEncoding.EncodeToString(b)
}

func parseSecret(s string) ([]byte, error) {
	text, ok := strings.CutPrefix(s, secretStart)
	if !ok {
		return nil, ErrSecret
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) < 24 || len(key) > 64 {
		return nil, ErrSecret
	}
	return key, nil
}

// sign is the v1 signature of a delivery (standard-webhooks,
// spec/standard-webhooks.md).
func sign(key []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// delivery is one webhook on its way. Its id stays the same however often it
// is tried, so that the receiver can tell.
type delivery struct {
	id   string
	body []byte
}

// outbox delivers webhooks. Those of one room go out in order, one after the other.
// Rooms do not wait for each other.
type outbox struct {
	hook   string
	key    []byte
	log    *slog.Logger
	now    func() time.Time
	client *http.Client
	ctx    context.Context
	stop   context.CancelFunc
	done   sync.WaitGroup // one for each room that is being delivered

	mu      sync.Mutex
	waiting map[int64][]delivery // by room; present while its goroutine runs
	closed  bool
}

func newOutbox(hook string, key []byte, log *slog.Logger, now func() time.Time) *outbox {
	ctx, stop := context.WithCancel(context.Background())
	return &outbox{
		hook: hook, key: key, log: log, now: now, ctx: ctx, stop: stop,
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second},
			Timeout:       tryTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		waiting: make(map[int64][]delivery),
	}
}

// put adds a message to its room's deliveries. It never blocks.
func (o *outbox) put(room int64, m Message) {
	body, err := json.Marshal(m)
	if err != nil {
		o.log.Error("writing a webhook", "room", room, "error", err)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	queue, running := o.waiting[room]
	if o.closed {
		return
	}
	if len(queue) >= maxWaiting {
		o.log.Error("too many webhooks wait, one is dropped", "room", room)
		return
	}
	o.waiting[room] = append(queue, delivery{id: "msg_" + rand.Text(), body: body})
	if !running {
		o.done.Go(func() { o.deliver(room) })
	}
}

// deliver empties the queue of a room.
func (o *outbox) deliver(room int64) {
	for {
		o.mu.Lock()
		queue := o.waiting[room]
		if len(queue) == 0 || o.closed {
			delete(o.waiting, room)
			o.mu.Unlock()
			return
		}
		next := queue[0]
		o.waiting[room] = queue[1:]
		o.mu.Unlock()
		o.send(room, next)
	}
}

// send tries until the delivery is taken, refused for good, or the outbox is
// closed.
func (o *outbox) send(room int64, d delivery) {
	wait := firstRetry
	for {
		again, err := o.try(d)
		if err == nil {
			return
		}
		if again < 0 {
			o.log.Error("a webhook was refused and is dropped", "room", room, "delivery", d.id, "error", err)
			return
		}
		pause := max(again, wait/2+mathrand.N(wait/2))
		o.log.Warn("a webhook failed and will be tried again", "room", room, "delivery", d.id, "in", pause.Round(time.Millisecond), "error", err)
		select {
		case <-o.ctx.Done():
			return
		case <-time.After(pause):
		}
		wait = min(2*wait, slowestTry)
	}
}

// try posts a delivery once. After an error, again is how long the receiver
// wants to be left alone; negative if it refused this delivery for good.
func (o *outbox) try(d delivery) (again time.Duration, err error) {
	req, err := http.NewRequestWithContext(o.ctx, http.MethodPost, o.hook, bytes.NewReader(d.body))
	if err != nil {
		return -1, fmt.Errorf("writing the request: %w", err)
	}
	at := o.now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "chatbackend")
	req.Header.Set("webhook-id", d.id)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	req.Header.Set("webhook-signature", sign(o.key, d.id, at, d.body))
	resp, err := o.client.Do(req)
	if err != nil {
		return 0, err
	}
	// Read it, so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	resp.Body.Close()
	status := resp.StatusCode
	switch {
	case status < 300, status == http.StatusConflict: // 409: it was taken before
		return 0, nil
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500:
		return retryAfter(resp.Header), errors.New(resp.Status)
	default:
		return -1, errors.New(resp.Status)
	}
}

// retryAfter is how long the answer asks to wait, within reason.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, 60)) * time.Second
}

// close ends all deliveries and waits for them.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.stop()
	o.done.Wait()
	o.client.CloseIdleConnections()
}
