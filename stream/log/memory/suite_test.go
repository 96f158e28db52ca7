package memory

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is this kind of log for the suite.
var store = logtest.Store{
	Open: func(_ testing.TB, r log.Retention, now func() time.Time) log.Log { return New(r, now) },
}

func TestSuite(t *testing.T)       { logtest.Run(t, store) }
func BenchmarkAppend(b *testing.B) { logtest.BenchmarkAppend(b, store) }
func BenchmarkResume(b *testing.B) { logtest.BenchmarkResume(b, store) }
