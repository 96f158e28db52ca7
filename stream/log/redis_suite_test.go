//go:build unix

package log

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/log/redistest"
)

// The suite and the model run over a real Redis; each log is another hub in it.
func init() {
	stores = append(stores, store{
		name: "redis",
		open: func(t testing.TB, r Retention, now func() time.Time) Log {
			return openRedis(t, RedisOptions{Addrs: []string{suiteServer(t)}, Hub: suiteHub(), Retention: r, Now: now})
		},
		reopen: func(t testing.TB, l Log, r Retention, now func() time.Time) Log {
			o := l.(*Redis).options
			must(t, l.Close())
			o.Retention, o.Now = r, now
			return openRedis(t, o)
		},
		ownTags:  true,
		ownClock: true,
	})
}

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

func openRedis(t testing.TB, o RedisOptions) *Redis {
	t.Helper()
	r, err := OpenRedis(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}
