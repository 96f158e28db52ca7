package forwardauth

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// inReports runs a test with a clock of its own, and gives it the log so far.
func inReports(t *testing.T, f func(r *reports, q *request, lines func() []string)) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		r := &reports{logger: slog.New(slog.NewTextHandler(&b, nil))}
		q := &request{auth: &Auth{config: Config{URI: "/room/{channel}.json?key=secret"}}, channel: "1", method: "GET"}
		f(r, q, func() []string {
			defer b.Reset()
			return strings.Split(strings.TrimSpace(b.String()), "\n")
		})
	})
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(want) == 0 {
		want = []string{""}
	}
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d: %q", len(got), len(want), got)
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("line %d is %q, want %q", i, got[i], want[i])
		}
	}
}

func TestOneLineForABackendThatIsGoneAndOneForItsReturn(t *testing.T) {
	inReports(t, func(r *reports, q *request, lines func() []string) {
		for range 5 {
			r.failed(errors.New("connection refused"))
			time.Sleep(time.Second)
		}
		for range 5 {
			r.answered(200, q)
		}
		wantLines(t, lines(), "connection refused", "answers again")
		r.answered(200, q)
		wantLines(t, lines())
		// Some that fail among others that do not.
		for range 1000 {
			r.failed(errors.New("timeout"))
			r.answered(500, q)
			time.Sleep(20 * time.Millisecond)
		}
		if n := len(lines()); n > 6 {
			t.Errorf("%d lines in 20 seconds", n)
		}
	})
}

func TestOneLineForAnAddressThatIsNowhere(t *testing.T) {
	inReports(t, func(r *reports, q *request, lines func() []string) {
		for range suspiciousAnswers - 1 {
			r.answered(404, q)
			r.answered(401, q)
		}
		wantLines(t, lines())
		for range 100 {
			r.answered(404, q)
		}
		got := lines()
		wantLines(t, got, "404 to all questions")
		if !strings.Contains(got[0], "/room/{channel}.json") || strings.Contains(got[0], "secret") {
			t.Errorf("the request is shown as %q", got[0])
		}
		time.Sleep(doubtEvery)
		r.answered(404, q)
		wantLines(t, lines(), "404 to all questions")
	})
	inReports(t, func(r *reports, q *request, lines func() []string) {
		r.answered(403, q) // there is such an address
		for range 100 {
			r.answered(404, q)
		}
		wantLines(t, lines())
	})
}

func TestOneLineForAnswersThatSayNothing(t *testing.T) {
	inReports(t, func(r *reports, q *request, lines func() []string) {
		for range 100 {
			r.unclear(q, 500, "status 500 is neither a yes nor a no")
			time.Sleep(100 * time.Millisecond)
		}
		got := lines()
		wantLines(t, got, "neither a yes nor a no")
		if strings.Contains(got[0], "secret") {
			t.Errorf("the request is shown as %q", got[0])
		}
		time.Sleep(unclearEvery)
		r.unclear(q, 429, "")
		wantLines(t, lines(), "status=429")
	})
}
