package access

import (
	"slices"
	"time"
)

// lane is a share of the backend's attention: slots of its own, for new streams
// or for re-checks. The gate's lock guards it.
type lane struct {
	slots   int
	running []*flight // the oldest first
	nextAt  time.Time // while the backend cannot be reached: not before
}

// free tells whether one more question may be put.
func (l *lane) free() bool { return len(l.running) < l.slots }

// leave takes a question out that has been answered.
func (l *lane) leave(f *flight) {
	if i := slices.Index(l.running, f); i >= 0 {
		l.running = slices.Delete(l.running, i, i+1)
	}
}

// patient is how many of the oldest questions are never given up for others.
// Through them a gate learns that its backend has become slow.
func (l *lane) patient() int { return max(1, l.slots/8) }

// overdue finds, for so many who wait for a slot, questions that are to be given
// up, and when to look again; zero if that makes no difference.
func (l *lane) overdue(now time.Time, waiting int, p *pace) (victims []*flight, again time.Time) {
	if l.free() || waiting == 0 {
		return nil, time.Time{}
	}
	for _, f := range l.running[min(l.patient(), len(l.running)):] {
		if waiting == 0 {
			break
		}
		waiting--
		if f.givenUp {
			continue
		}
		at := f.asked.at.Add(p.limit(f))
		if at.After(now) {
			return victims, at
		}
		victims = append(victims, f)
	}
	return victims, time.Time{}
}

const (
	// minPatience is the least that a question is given while others wait.
	minPatience = 200 * time.Millisecond
	// stallPatience is the least that it is given if no later question was
	// answered either: then it may be the backend as a whole that holds still.
	stallPatience = time.Second
	// slowness is how many times longer than usual a question may take.
	slowness = 8
	// paceSamples is how many of the last answers say what is usual.
	paceSamples = 16
)

// pace is how fast the backend answers.
type pace struct {
	took    [paceSamples]time.Duration
	count   int    // of all samples so far
	newest  uint64 // the tick of the latest question that was answered
	timeout time.Duration
}

// answered takes note of an answer.
func (p *pace) answered(f *flight, now time.Time) {
	p.took[p.count%paceSamples] = now.Sub(f.asked.at)
	p.count++
	p.newest = max(p.newest, f.asked.tick)
}

// usual is what the faster quarter of the last answers took at most: slow
// answers, which a stranger may be able to cause, do not change it.
func (p *pace) usual() time.Duration {
	n := min(p.count, paceSamples)
	if n == 0 {
		return p.timeout
	}
	sorted := p.took
	slices.Sort(sorted[:n])
	return sorted[n/4]
}

// limit is how long a question may be with the backend while others wait.
func (p *pace) limit(f *flight) time.Duration {
	least := stallPatience
	if f.asked.tick < p.newest {
		least = minPatience
	}
	return min(max(least, slowness*p.usual()), p.timeout)
}
