//go:build unix

package redis

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

func TestMain(m *testing.M) {
	// rueidis ends both by itself: five seconds after the topology has changed, and
	// a second after it was asked for.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}

// store runs the suite over a real Redis; each log is another hub in it.
var store = logtest.Store{
	Open: func(t testing.TB, r log.Retention, now func() time.Time) log.Log {
		return openRedis(t, Options{Address: redisconn.Address{Addrs: []string{suiteServer(t)}}, Hub: suiteHub(), Retention: r, Now: now})
	},
	Reopen: func(t testing.TB, l log.Log, r log.Retention, now func() time.Time) log.Log {
		o := l.(*Log).options
		logtest.Must(t, l.Close())
		o.Retention, o.Now = r, now
		return openRedis(t, o)
	},
	OwnClock: true,
}

func TestSuite(t *testing.T)            { logtest.Run(t, store) }
func BenchmarkSuiteAppend(b *testing.B) { logtest.BenchmarkAppend(b, store) }

var suiteHubs atomic.Int64

// suiteHub is the name of a hub that no other test has.
func suiteHub() string { return fmt.Sprintf("hub %d {*}:\n", suiteHubs.Add(1)) }

// suiteServers are the servers of the tests that run, one each.
var suiteServers sync.Map

// suiteServer is the address of a Redis that lives as long as the test.
func suiteServer(t testing.TB) string {
	t.Helper()
	if s, ok := suiteServers.Load(t); ok {
		return s.(*redistest.Server).Addr
	}
	s := redistest.Start(t, "--appendonly", "no")
	suiteServers.Store(t, s)
	t.Cleanup(func() { suiteServers.Delete(t) })
	return s.Addr
}

func openRedis(t testing.TB, o Options) *Log {
	t.Helper()
	r, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}
