package redis

import (
	"testing"
	"time"
)

// A slow answer of another node is not taken for none where it is known that there
// is one, and nobody waits for long where there is none.
func TestPatienceWithOtherNodes(t *testing.T) {
	now := time.Now().UnixNano()
	for name, c := range map[string]struct {
		peer         int64
		others, asks bool
		want         time.Duration
	}{
		"alone":                       {want: settleTime},
		"somebody hears the signals":  {others: true, want: othersTime},
		"a node with the same log":    {peer: now, others: true, want: peerTime},
		"one that was there long ago": {peer: now - int64(time.Hour), others: true, want: othersTime},
		"all have begun anew":         {peer: now, others: true, asks: true, want: othersTime},
	} {
		n := &session{s: &Source{plan: &plan{probe: time.Second}}}
		n.s.peerHeard.Store(c.peer)
		n.others.Store(c.others)
		n.peerAsks.Store(c.asks)
		if got := n.patience(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
