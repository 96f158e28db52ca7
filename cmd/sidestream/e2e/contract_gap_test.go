package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/cmd/sidestream/e2e/contract"
)

// A history so short that clients that are away for a moment miss something,
// and a server that is killed, and then given another file: everybody is told
// of what is missing, and only of that.
func TestGapsUnderLoad(t *testing.T) {
	const retained = 10
	clients, perSecond := 60, 200
	if raceDetector {
		clients, perSecond = 24, 80
	}
	site := func(file string) string {
		return openSite(fmt.Sprintf("drain 200ms\nhistory {\n store file %s\n per_channel %d\n}", file, retained))
	}
	channels := names(5)
	s := start(t, site("first.db"))
	c := newCrowd(t)
	c.speak(s, 20, perSecond, channels)
	for i := range clients {
		d := dialects[i%len(dialects)]
		l := &listener{
			dialect: d, address: "127.0.0.1:" + s.port, channels: []string{channels[i%len(channels)]},
			hangUp: 30, away: time.Second,
		}
		if (strings.HasPrefix(d.name, "flowdock") || d.name == "sse") && i%3 == 0 {
			l.channels = channels[:2+i%4]
		}
		if i/len(dialects)%2 == 1 {
			l.more = "on_gap=oldest"
		}
		c.listen(l)
	}
	c.begin()
	for range 4 {
		<-time.After(time.Second + rand.N(500*time.Millisecond))
		s.kill()
		s.begin()
	}
	<-time.After(time.Second)
	s.reload(site("second.db"))
	<-time.After(time.Second)
	c.fallSilent(s.url, channels)
	c.goHome()
	h := c.check(retained)

	reasons, told := map[string]int{}, 0
	for _, session := range h.Sessions {
		reasons[session.Resume]++
		for _, m := range session.Seen {
			if m.Kind == contract.Gap {
				told++
			}
		}
	}
	t.Logf("sessions: %v; signals in streams: %d", reasons, told)
	for _, how := range []string{"complete", "gap;reason=trimmed", "gap;reason=epoch-changed"} {
		if reasons[how] == 0 {
			t.Errorf("no session began with %q", how)
		}
	}
}
