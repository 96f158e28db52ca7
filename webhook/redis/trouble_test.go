package redis

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Who reads of trouble in the log reads of its end as well, also when the same cause
// came up many times between. Trouble that comes and goes fills no log.
func TestEndOfTroubleIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		tr := &trouble{logger: slog.New(slog.NewTextHandler(&out, nil)), kinds: map[string]*troubleKind{}}
		lines := func(times int, cause string) (bad, good int) {
			out.Reset()
			for range times {
				tr.reportCause("down", cause)
			}
			tr.over("down", "up again")
			tr.over("down", "up again")
			return strings.Count(out.String(), "msg=down"), strings.Count(out.String(), "up again")
		}
		if _, good := lines(0, ""); good != 0 {
			t.Error("the end of nothing is told")
		}
		if bad, good := lines(20, "refused"); bad != 1 || good != 1 {
			t.Errorf("a long outage is told %d times, its end %d times; want once each", bad, good)
		}
		if bad, good := lines(3, "refused"); bad != 0 || good != 0 {
			t.Errorf("the same again within a minute is told %d times, its end %d times; want never", bad, good)
		}
		if bad, good := lines(3, "closed"); bad != 1 || good != 1 {
			t.Errorf("another cause is told %d times, its end %d times; want once each", bad, good)
		}
		time.Sleep(troubleEvery)
		if bad, good := lines(3, "refused"); bad != 1 || good != 1 {
			t.Errorf("after a while, it is told %d times, its end %d times; want once each", bad, good)
		}
	})
}
