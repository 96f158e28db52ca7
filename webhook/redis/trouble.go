package redis

import (
	"log/slog"
	"sync"
	"time"
)

// troubleEvery is how often the same trouble is written into the log.
const troubleEvery = time.Minute

// trouble writes what goes wrong into the log: the first time at once, and again
// when it has another cause; then at a bounded rate with how often it happened,
// and once when it is over.
type trouble struct {
	logger *slog.Logger

	mu    sync.Mutex
	kinds map[string]*troubleKind
	last  string // what went wrong last and is not over
	of    string // its kind
}

// current is what went wrong last and is not over; empty if all is well.
func (t *trouble) current() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

type troubleKind struct {
	logged time.Time
	count  int
	told   bool            // a line says that it is there, and none that it is over
	causes map[string]bool // that were written since logged
}

// maxCauses bounds how many causes of one kind of trouble are news.
const maxCauses = 8

// report says that something went wrong. The text names the kind of trouble.
func (t *trouble) report(text string, args ...any) { t.say(text, "", args) }

// reportCause is report for trouble whose cause is news when it changes.
func (t *trouble) reportCause(text, cause string) { t.say(text, cause, []any{"error", cause}) }

func (t *trouble) say(text, cause string, args []any) {
	t.mu.Lock()
	k := t.kinds[text]
	if k == nil {
		k = new(troubleKind)
		t.kinds[text] = k
	}
	k.count++
	if t.of, t.last = text, text; cause != "" {
		t.last += ": " + cause
	}
	now := time.Now()
	switch {
	case k.logged.IsZero(), now.Sub(k.logged) >= troubleEvery:
		k.causes = map[string]bool{}
	case k.causes[cause], len(k.causes) >= maxCauses:
		t.mu.Unlock()
		return
	}
	if k.count > 1 {
		args = append(args, "times", k.count)
	}
	k.logged, k.count, k.causes[cause], k.told = now, 0, true, true
	t.mu.Unlock()
	t.logger.Warn(text, args...)
}

// over says that trouble of a kind has ended, if it was told of since it began.
func (t *trouble) over(text, good string) {
	t.mu.Lock()
	k := t.kinds[text]
	told := k != nil && k.told
	if t.of == text {
		t.of, t.last = "", ""
	}
	if told {
		k.told = false
	}
	t.mu.Unlock()
	if told {
		t.logger.Info(good)
	}
}
