package forwardauth

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// reportEvery bounds the lines about a backend that does not answer, and
	// about one that answers again, to one of each in that time.
	reportEvery = 10 * time.Second
	// suspiciousAnswers is after how many answers, all of them 404, the
	// configured address is doubted; doubtEvery is how often that is said.
	suspiciousAnswers = 5
	doubtEvery        = time.Hour
	// unclearEvery bounds the lines about answers that are neither a yes nor a no.
	unclearEvery = time.Minute
)

// reports writes to the log what an operator must know about the backend, and
// not more often than that. Safe for concurrent use.
type reports struct {
	logger *slog.Logger

	mu         sync.Mutex
	failures   int // in a row
	since      time.Time
	warned     time.Time // of a backend that does not answer
	unanswered bool      // that is what the log says
	notFound   int       // answers, of those to questions about channels
	found      bool      // there was another one
	doubted    time.Time
	emptied    time.Time // a placeholder had no value
	led        time.Time // to the same page at another address
	vague      time.Time // an answer was neither a yes nor a no
}

// failed takes note of a question without an answer. The error holds no
// secrets.
func (r *reports) failed(err error) {
	now := time.Now()
	r.mu.Lock()
	if r.failures == 0 {
		r.since = now
	}
	r.failures++
	level := slog.LevelDebug
	if now.Sub(r.warned) >= reportEvery {
		r.warned, r.unanswered, level = now, true, slog.LevelWarn
	}
	r.mu.Unlock()
	r.logger.Log(context.Background(), level, "the backend did not say who may listen", "error", err)
}

// answered takes note of an answer, whatever it says.
func (r *reports) answered(status int, q *request) {
	now := time.Now()
	r.mu.Lock()
	failures, since := r.failures, r.since
	back := r.unanswered && failures > 0
	r.failures = 0
	if back {
		r.unanswered = false
	}
	doubt := r.doubts(status, q, now)
	notFound := r.notFound
	r.mu.Unlock()
	if back {
		r.logger.Info("the backend answers again", "questions_without_answer", failures, "since", since.Round(time.Second))
	}
	if doubt {
		r.logger.Warn("the backend has answered 404 to all questions so far; is the address of auth right?",
			"questions", notFound, "request", q.shownAs())
	}
}

// redirected takes note of an answer that leads to the same page at another
// address, of which everybody is told to come back later.
func (r *reports) redirected(q *request, status int, location string) {
	now := time.Now()
	r.mu.Lock()
	due := r.led.IsZero() || now.Sub(r.led) >= doubtEvery
	if due {
		r.led = now
	}
	r.mu.Unlock()
	if due {
		r.logger.Warn("the backend does not say who may listen, but leads to the same page at another address; ask it there, or tell it with header_up X-Forwarded-Proto or Host that it is asked as it wants",
			"request", q.shownAs(), "status", status, "location", location)
	}
}

// unclear takes note of an answer that is neither a yes nor a no, so that clients
// are told to come back later. Strangers may be able to cause one.
func (r *reports) unclear(q *request, status int, why string) {
	now := time.Now()
	r.mu.Lock()
	level := slog.LevelDebug
	if r.vague.IsZero() || now.Sub(r.vague) >= unclearEvery {
		r.vague, level = now, slog.LevelWarn
	}
	r.mu.Unlock()
	r.logger.Log(context.Background(), level, "the backend's answer does not say who may listen",
		"request", q.shownAs(), "status", status, "why", why)
}

// unfilled takes note of a question that was not put, because a placeholder of
// Caddy had no value.
func (r *reports) unfilled(name string) {
	now := time.Now()
	r.mu.Lock()
	level := slog.LevelDebug
	if now.Sub(r.emptied) >= reportEvery {
		r.emptied, level = now, slog.LevelWarn
	}
	r.mu.Unlock()
	r.logger.Log(context.Background(), level, "a client was refused, because a placeholder of auth has no value; does the handler that sets it come before sidestream?",
		"placeholder", "{"+name+"}")
}

// shownAs is the request as the configuration has it, without its query, which
// may hold a key.
func (q *request) shownAs() string {
	path, _, _ := strings.Cut(q.auth.config.URI, "?")
	return q.method + " " + path
}

// doubts tells whether the answers so far look as if the address was wrong. A
// login that is asked for, or not accepted, says nothing of it.
func (r *reports) doubts(status int, q *request, now time.Time) bool {
	switch {
	case r.found || q.channel == "" && !q.list:
	case status == http.StatusNotFound:
		r.notFound++
		if r.notFound >= suspiciousAnswers && (r.doubted.IsZero() || now.Sub(r.doubted) >= doubtEvery) {
			r.doubted = now
			return true
		}
	case status == http.StatusUnauthorized, status >= 300 && status <= 399, status >= 500:
	default:
		r.found = true
	}
	return false
}
