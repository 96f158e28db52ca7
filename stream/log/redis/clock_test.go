package redis

import (
	"testing"
	"time"
)

// TestServerClock: whoever sets the clock of the Redis server expires nothing.
func TestServerClock(t *testing.T) {
	const hour = int64(time.Hour / time.Millisecond)
	c := serverClock{}
	c.learn(0, 100*hour, 100*hour)
	check := func(what string, passed, want int64) {
		t.Helper()
		if got := c.cutoff(passed, time.Hour); got != want {
			t.Errorf("%s: what is before %d is old, not before %d", what, got-99*hour, want-99*hour)
		}
	}
	check("at first", 0, 99*hour)
	check("a second later", 1000, 99*hour+1000)
	c.learn(2000, 100*hour+2500, 100*hour+2500)
	check("a clock that drifts", 2000, 99*hour+2500)
	c.learn(3000, 101*hour+3500, 100*hour+2500)
	check("set forward", 3000, 99*hour+3500)
	check("half an hour later", 3000+hour/2, 99*hour+hour/2+3500)
	check("when what was there is old", 3000+hour, 101*hour+3500)
	c.learn(4000, 100*hour, 101*hour+3600)
	check("set back", 4000, 99*hour+3600)
}
