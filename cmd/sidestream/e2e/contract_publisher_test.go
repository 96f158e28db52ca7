package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/cmd/sidestream/e2e/contract"
)

// speaker publishes messages and writes down what it is answered. A message
// whose outcome is unknown is sent again until it is acknowledged, as webhooks
// are.
type speaker struct {
	rec      *contract.Recorder
	name     string
	url      string
	channels []string
	pause    time.Duration // between two messages
	client   *http.Client
}

// publish goes on until stop is closed and the last message is acknowledged.
func (p *speaker) publish(stop <-chan struct{}) {
	ticker := time.NewTicker(p.pause)
	defer ticker.Stop()
	for n := 0; ; n++ {
		e := contract.Event{Channel: p.channels[n%len(p.channels)], ID: fmt.Sprintf("%s-%d", p.name, n)}
		p.deliver(e)
		if rand.IntN(20) == 0 {
			p.attempt(e) // an app that did not see the answer
		}
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
	}
}

// deliver sends a message until it is acknowledged; for a minute at most.
func (p *speaker) deliver(e contract.Event) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if p.attempt(e) {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
}

// textOf is the body of a message: not only ASCII, with what formats escape,
// and of very different lengths.
func textOf(e contract.Event) string {
	return fmt.Sprintf("%v \u2603 \"\\\r\n <&> %s", e, strings.Repeat("x", len(e.ID)*len(e.ID)))
}

// attempt sends a message once.
func (p *speaker) attempt(e contract.Event) (acked bool) {
	a := contract.Attempt{Event: e, Body: textOf(e)}
	body, _ := json.Marshal(map[string]string{"channel": e.Channel, "id": e.ID, "body": a.Body}) // strings always can be
	a.Start = p.rec.Now()
	resp, err := p.client.Post(p.url, "application/json", strings.NewReader(string(body)))
	if err == nil {
		var answer []byte
		answer, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		var said struct {
			Position  string
			Duplicate bool
		}
		switch {
		case err != nil: // only the head of an answer
		case resp.StatusCode/100 == 4:
			a.Outcome = contract.Refused
		case resp.StatusCode/100 == 2 && json.Unmarshal(answer, &said) == nil:
			a.Outcome, a.Position, a.Duplicate = contract.Acked, said.Position, said.Duplicate
		}
	}
	a.End = p.rec.Now()
	p.rec.Attempted(a)
	return a.Outcome == contract.Acked
}

// crowd is everybody in a test of the contract.
type crowd struct {
	t         *testing.T
	rec       *contract.Recorder
	speakers  []*speaker
	listeners []*listener

	speaking, listening sync.WaitGroup
	hush, home          chan struct{}
	client              *http.Client
}

func newCrowd(t *testing.T) *crowd {
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	return &crowd{
		t: t, rec: contract.NewRecorder(), hush: make(chan struct{}), home: make(chan struct{}),
		client: &http.Client{Transport: transport, Timeout: 20 * time.Second},
	}
}

// speak adds publishers of so many messages a second in all.
func (c *crowd) speak(s *server, publishers, perSecond int, channels []string) {
	for i := range publishers {
		mine := make([]string, len(channels))
		for k := range mine { // each begins elsewhere
			mine[k] = channels[(i+k)%len(channels)]
		}
		c.speakers = append(c.speakers, &speaker{
			rec: c.rec, name: fmt.Sprint("p", i), url: s.url + "/hook", channels: mine,
			pause: time.Second * time.Duration(publishers) / time.Duration(perSecond), client: c.client,
		})
	}
}

func (c *crowd) listen(l *listener) {
	l.rec, l.ended = c.rec, map[string]string{}
	of := strings.Join(l.channels, ",")
	if len(l.channels) > 4 {
		of = fmt.Sprint(len(l.channels), " channels")
	}
	l.name = strings.TrimSpace(fmt.Sprintf("client %d, %s of %s %s", len(c.listeners), l.dialect.name, of, l.more))
	c.listeners = append(c.listeners, l)
}

// begin starts everybody.
func (c *crowd) begin() {
	for _, l := range c.listeners {
		c.listening.Go(func() { l.listen(c.home) })
	}
	for _, p := range c.speakers {
		c.speaking.Go(func() { p.publish(c.hush) })
	}
	c.t.Cleanup(c.goHome)
}

// fallSilent has the publishers finish, and says closing words in each channel,
// again and again, until every client has heard those of one round, the last.
// If time is up, the check will say who lacks what.
func (c *crowd) fallSilent(url string, channels []string) (round int) {
	close(c.hush)
	c.speaking.Wait()
	p := &speaker{rec: c.rec, url: url + "/hook", client: c.client}
	for deadline := time.Now().Add(patience); ; round++ {
		for _, channel := range channels {
			p.deliver(endOf(channel, round))
		}
		// Who was away, and is told that it missed them, needs another round.
		if c.awaitEnd(round, time.Now().Add(2*time.Second)) || time.Now().After(deadline) {
			return round
		}
	}
}

func (c *crowd) awaitEnd(round int, deadline time.Time) bool {
	for _, l := range c.listeners {
		for !l.hasAll(round) {
			if time.Now().After(deadline) {
				return false
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	return true
}

// goHome ends everybody. It may be called twice.
func (c *crowd) goHome() {
	for _, done := range []chan struct{}{c.hush, c.home} {
		select {
		case <-done:
		default:
			close(done)
		}
	}
	c.speaking.Wait()
	for _, l := range c.listeners {
		l.finish()
	}
	c.listening.Wait()
}

// check fails the test for every promise that was broken.
func (c *crowd) check(retained int) contract.History {
	c.t.Helper()
	h := c.rec.History()
	h.Retained = retained
	for _, v := range contract.Check(h) {
		c.t.Error(v)
	}
	return h
}

// epochNow is the epoch of the newest answer.
func epochNow(h contract.History) string {
	for i := len(h.Attempts) - 1; i >= 0; i-- {
		if epoch, _, ok := strings.Cut(h.Attempts[i].Position, "."); ok {
			return epoch
		}
	}
	return ""
}
