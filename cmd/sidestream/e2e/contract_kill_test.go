package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/cmd/sidestream/e2e/contract"
)

const kills = 50

// names are n channels.
func names(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint("room-", i+1)
	}
	return list
}

// The server is killed, again and again, under load: what it acknowledged is
// there, nobody misses anything or gets it twice, and everybody sees one
// order.
func TestKilledUnderLoad(t *testing.T) {
	clients, perSecond := 100, 200
	if raceDetector { // ten times slower
		clients, perSecond = 40, 80
	}
	channels := names(20)
	s := start(t, openSite("history {\n store file hub.db\n per_channel 100000 24h 1GiB\n}"))
	c := newCrowd(t)
	c.speak(s, 40, perSecond, channels)
	for i := range clients {
		d := dialects[i%len(dialects)]
		l := &listener{dialect: d, address: "127.0.0.1:" + s.port, channels: []string{channels[i%len(channels)]}}
		if strings.HasPrefix(d.name, "flowdock") || d.name == "sse" {
			switch i / len(dialects) % 3 {
			case 1:
				l.channels = []string{channels[i%20], channels[(i+3)%20], channels[(i+9)%20]}
			case 2:
				l.channels = channels
			}
		}
		if i%5 == 0 { // some come and go by themselves as well
			l.hangUp, l.away = 50, 300*time.Millisecond
		}
		c.listen(l)
	}
	c.begin()
	var down []time.Duration
	for range kills {
		<-time.After(50*time.Millisecond + rand.N(350*time.Millisecond))
		s.kill()
		begun := time.Now()
		s.begin()
		s.awaitHealth(http.StatusOK)
		down = append(down, time.Since(begun))
	}
	last := c.fallSilent(s.url, channels)
	if err := readAudit(c.rec, "127.0.0.1:"+s.port, channels, epochNow(c.rec.History()), last); err != nil {
		t.Errorf("reading everything: %v", err)
	}
	c.goHome()
	for _, l := range c.listeners {
		if l.refused != "" { // a server that listens can say who may
			t.Errorf("%s was refused: %s", l.name, l.refused)
		}
	}
	h := c.check(0)

	slices.Sort(down)
	t.Logf("serving again after %v (median), %v (worst)", down[len(down)/2].Round(time.Millisecond), down[len(down)-1].Round(time.Millisecond))
	describe(t, h)
}

// kill ends the process without a warning. It must not have had a word to say
// about itself before.
func (s *server) kill() {
	s.t.Helper()
	s.stop(syscall.SIGKILL)
	if said := s.errOut.tail(1 << 20); strings.Contains(said, "DATA RACE") || strings.Contains(said, "panic") {
		s.t.Errorf("before it was killed, the server said:\n%s", said)
	}
}

// describe logs how much a history holds, and fails the test if that is too
// little to mean anything.
func describe(t *testing.T, h contract.History) {
	t.Helper()
	var acked, duplicates, unknown, resumed, gaps, messages int
	for _, a := range h.Attempts {
		switch {
		case a.Outcome == contract.Unknown:
			unknown++
		case a.Duplicate:
			duplicates++
		case a.Outcome == contract.Acked:
			acked++
		}
	}
	for _, s := range h.Sessions {
		if s.Resume == "complete" {
			resumed++
		} else if s.Resume != "" {
			gaps++
		}
		for _, m := range s.Seen {
			if m.Kind == contract.Message {
				messages++
			}
		}
	}
	t.Logf("%d messages acknowledged, %d answers as a duplicate, %d attempts without an answer; %d sessions, of which %d resumed and %d with a gap; %d messages seen",
		acked, duplicates, unknown, len(h.Sessions), resumed, gaps, messages)
	if acked < 200 || unknown == 0 || duplicates == 0 || resumed < 100 || messages < 10*acked/len(names(20)) {
		t.Error("too little happened")
	}
}

// health is the status of /health; 0 if nobody answers.
func (s *server) health() int {
	client := http.Client{Timeout: 5 * time.Second}
	r, err := client.Get(s.url + "/health")
	if err != nil {
		return 0
	}
	r.Body.Close()
	return r.StatusCode
}

func (s *server) awaitHealth(status int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprint("health ", status), func() bool { return s.health() == status })
}
