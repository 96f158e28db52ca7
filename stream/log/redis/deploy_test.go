//go:build unix

package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/conn/certtest"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/log/logtest"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// useEverything does all that a log does.
func useEverything(t *testing.T, n *node) {
	t.Helper()
	n.untilConnected(true)
	first := n.say("a", "1")
	n.say("b", "1")
	_, err := n.Append([]event.Event{logtest.Message("a", "1", "x")}, []event.Mark{{Source: "s", Value: "v"}})
	logtest.Must(t, err)
	n.SetRetention(log.Retention{Events: 1, Bytes: 1 << 20, Age: time.Nanosecond})
	redistest.Until(t, "all is swept", func() bool { _, err := n.Sweep(time.Now()); logtest.Must(t, err); return n.Stats().Events == 0 })
	tag, ok, err := n.TagAt(1)
	if err != nil || !ok || tag != first.Entry.Tag {
		t.Errorf("tag %v, %v, %v", tag, ok, err)
	}
	_, _, err = n.SeqOf("a", "1")
	_, err2 := n.SeqBefore(time.Now())
	_, err3 := n.Trimmed("a")
	mark, err4 := n.Mark("s")
	err5 := n.PutRecords([]log.Record{{ID: "a", Value: []byte("x"), Until: time.Now().Add(time.Hour)}, {ID: "a"}})
	_, _, err6 := n.Record("a")
	if err := errors.Join(err, err2, err3, err4, err5, err6); err != nil || mark != "v" {
		t.Errorf("%v, mark %q", err, mark)
	}
	n.SetRetention(log.Retention{})
	last := n.say("a", "2")
	if got := logtest.Seqs(logtest.Read(t, n, 0, "a", "b")); got != fmt.Sprint(last.Entry.Seq) {
		t.Errorf("read %s", got)
	}
	n.untilHead(n.cursor(last))
}

// nothingRefused checks that no user lacked a right: some refusals are only seen
// in what happens later.
func nothingRefused(t *testing.T, servers ...*redistest.Server) {
	t.Helper()
	for _, s := range servers {
		if got := strings.TrimSpace(s.CLI("ACL", "LOG")); got != "" {
			t.Errorf("refused: %s", got)
		}
	}
}

func TestLeastRights(t *testing.T) {
	const password = "hunter2:hunter2"
	rules := func(keys, acl string) []string {
		return append([]string{"ACL", "SETUSER", "side", "on", ">" + password, keys}, strings.Fields(acl)...)
	}
	t.Run("standalone", func(t *testing.T) {
		s := redistest.Start(t)
		s.CLI(rules("~sidestream:*", ACL)...)
		useEverything(t, newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}, Username: "side", Password: password, DB: 3}}))
		nothingRefused(t, s)
	})
	t.Run("sentinel", func(t *testing.T) {
		s := redistest.StartSentinel(t)
		for _, server := range []*redistest.Server{s.Master, s.Replica} {
			server.CLI(rules("~sidestream:*", ACL)...)
		}
		for _, sentinel := range s.Sentinels {
			sentinel.CLI(rules("resetkeys", SentinelACL)...)
		}
		useEverything(t, newNode(t, Options{Address: redisconn.Address{Addrs: s.Addrs, Master: s.Name, Username: "side", Password: password, SentinelUsername: "side", SentinelPassword: password}, Replicas: 1}))
		nothingRefused(t, append(s.Sentinels, s.Master, s.Replica)...)
	})
	t.Run("cluster", func(t *testing.T) {
		c := redistest.StartCluster(t, 3)
		for _, s := range c.Nodes {
			s.CLI(rules("~sidestream:*", ACL)...)
		}
		useEverything(t, newNode(t, Options{Address: redisconn.Address{Addrs: c.Addrs[:1], Cluster: true, Username: "side", Password: password}}))
		nothingRefused(t, c.Nodes...)
	})
	t.Run("refused", func(t *testing.T) {
		s := redistest.Start(t, "--rename-command", "HELLO", "", "--rename-command", "AUTH", "")
		n := newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}, Username: "side", Password: password}})
		_, err := n.dial(t.Context())
		if err == nil {
			_, err = n.state(t.Context(), n.link.Client, event.Cursor{})
		}
		if err == nil || strings.Contains(err.Error(), password) || !strings.Contains(err.Error(), "AUTH") {
			t.Errorf("got %v", err)
		}
	})
}

// TestCluster: all of a hub moves with its slot, unnoticed.
func TestCluster(t *testing.T) {
	c := redistest.StartCluster(t, 3)
	a := newNode(t, Options{Address: redisconn.Address{Addrs: c.Addrs, Cluster: true}})
	b := newNode(t, Options{Address: redisconn.Address{Addrs: c.Addrs[:1], Cluster: true}})
	a.untilConnected(true)
	key := a.keys[keyHead]
	for i := range 4 {
		last := a.cursor(a.say("a", fmt.Sprint(i)))
		b.untilHead(last)
		c.Move(key, (c.Owner(key)+1)%3)
	}
	last := b.cursor(b.say("a", "last"))
	for _, n := range []*node{a, b} {
		n.untilHead(last)
		n.untilConnected(true)
		if len(n.resets) > 0 || len(n.seen) != 5 {
			t.Errorf("%d entries, resets %v", len(n.seen), n.resets)
		}
		if got := logtest.Seqs(logtest.Read(t, n, 0, "a")); got != "1 2 3 4 5" {
			t.Errorf("read %s", got)
		}
	}
	useEverything(t, newNode(t, Options{Address: redisconn.Address{Addrs: c.Addrs, Cluster: true}, Hub: "another {} hub"}))
}

// TestLaggingFailover: a master takes over that never had what was
// acknowledged last. Everybody who may have seen it is told, and its position
// is not used again in the same epoch with the same tag.
func TestLaggingFailover(t *testing.T) {
	s := redistest.StartSentinel(t)
	o := Options{Address: redisconn.Address{Addrs: s.Addrs, Master: s.Name}}
	a, b := newNode(t, o), newNode(t, o)
	a.untilConnected(true)
	b.untilHead(a.cursor(a.say("a", "1")))
	s.Master.CLI("WAIT", "1", "0")
	s.Lag()
	lost := a.cursor(a.say("a", "lost"))
	b.untilHead(lost)
	s.Master.Kill()
	a.untilConnected(false)
	s.Replica.Cont()
	s.UntilMaster(s.Replica)
	last := b.cursor(b.say("a", "new"))
	if last.Epoch == lost.Epoch {
		t.Errorf("the epoch is still %v", last.Epoch)
	}
	for _, n := range []*node{a, b} {
		n.untilHead(last)
		n.untilConnected(true)
		if len(n.resets) != 1 || n.resets[0] != event.EpochChanged {
			t.Errorf("resets %v", n.resets)
		}
		if got := logtest.Seqs(logtest.Read(t, n, 0, "a")); got != "1 2" {
			t.Errorf("read %s", got)
		}
	}
}

// TestFork: a process that was away while another one appended to a log
// that had lost its tail finds out, however the positions stand by then.
func TestFork(t *testing.T) {
	for name, more := range map[string]int{"shorter": 1, "as long": 2, "longer": 3} {
		t.Run(name, func(t *testing.T) {
			s := redistest.StartSentinel(t)
			master := openRedis(t, Options{Address: redisconn.Address{Addrs: []string{s.Master.Addr}}, Hub: "test"})
			logtest.Put(t, master, logtest.Message("a", "1", "x"))
			s.Master.CLI("WAIT", "1", "0")
			s.Lag()
			logtest.Put(t, master, logtest.Message("a", "lost", "x"), logtest.Message("a", "common", "x"))
			was := master.Head()
			s.Master.Kill()
			s.Replica.Cont()
			s.UntilMaster(s.Replica)
			replica := openRedis(t, Options{Address: redisconn.Address{Addrs: []string{s.Replica.Addr}}, Hub: "test"})
			logtest.Put(t, replica, logtest.Message("a", "other", "x"))
			if more > 1 { // the same event at the same position, behind another one
				logtest.Put(t, replica, logtest.Message("a", "common", "x"))
			}
			if more > 2 {
				logtest.Put(t, replica, logtest.Message("a", "more", "x"))
			}
			if replica.Head().Epoch != was.Epoch {
				t.Fatal("the epoch changed before anybody could know")
			}
			if tag, ok, err := replica.TagAt(was.Seq); err != nil || ok && tag == was.Tag {
				t.Errorf("the position that was lost has its tag: %v, %v", tag, err)
			}
			// What the process that was away does next:
			_, err := replica.state(t.Context(), replica.link.Client, was)
			logtest.Must(t, err)
			if _, err := replica.Append([]event.Event{logtest.Message("a", "next", "x")}, nil); !errors.Is(err, log.ErrFailed) {
				t.Errorf("appending in the old epoch: %v", err)
			}
		})
	}
}

// TestDetached: the master that a log uses becomes a replica of another
// one, or is left alone by the sentinels.
func TestDetached(t *testing.T) {
	s := redistest.StartSentinel(t)
	n := newNode(t, Options{Address: redisconn.Address{Addrs: s.Addrs, Master: s.Name}})
	n.untilHead(n.cursor(n.say("a", "1")))
	s.Master.CLI("WAIT", "1", "0")
	s.Sentinels[0].CLI("SENTINEL", "FAILOVER", s.Name)
	s.UntilMaster(s.Replica)
	host, port, _ := net.SplitHostPort(s.Replica.Addr)
	s.Master.CLI("REPLICAOF", host, port)
	n.untilHead(n.cursor(n.say("a", "2")))
	n.untilConnected(true)
	if len(n.resets) > 0 {
		t.Errorf("resets %v", n.resets)
	}
	if got := s.Replica.CLI("XLEN", n.keys[keyFeed]); got != "2" {
		t.Errorf("the new master has %s entries", got)
	}
}

func TestReadOnly(t *testing.T) {
	s := redistest.Start(t)
	n := newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}})
	n.untilConnected(true)
	s.CLI("REPLICAOF", "127.0.0.1", redistest.FreePort(t))
	n.untilConnected(false)
	s.CLI("REPLICAOF", "NO", "ONE")
	n.untilConnected(true)
	s.CLI("CONFIG", "SET", "maxmemory", "1")
	if _, err := n.Append([]event.Event{logtest.Message("a", "1", "x")}, nil); !errors.Is(err, log.ErrFailed) || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("without memory: %v", err)
	}
	n.untilConnected(false)
	s.CLI("CONFIG", "SET", "maxmemory", "0")
	s.CLI("CONFIG", "SET", "min-replicas-to-write", "1")
	s.CLI("CONFIG", "SET", "min-replicas-to-write", "0")
	n.untilConnected(true)
	if a := n.say("a", "1"); a.Entry.Seq != 1 {
		t.Errorf("stored at %d", a.Entry.Seq)
	}
}

// TestReplicas: with too few replicas nothing is acknowledged.
func TestReplicas(t *testing.T) {
	s := redistest.Start(t)
	n := newNode(t, Options{Address: redisconn.Address{Addrs: []string{s.Addr}}, Replicas: 1, Durable: true})
	if _, err := n.Append([]event.Event{logtest.Message("a", "1", "x")}, nil); err == nil || errors.Is(err, log.ErrFailed) {
		t.Errorf("without a replica: %v", err)
	}
	host, port, _ := net.SplitHostPort(s.Addr)
	redistest.Start(t, "--replicaof", host+" "+port)
	if a := n.say("a", "1"); !a.Duplicate || a.Entry.Seq != 1 {
		t.Errorf("with one: %+v", a)
	}
	if !n.Durable() {
		t.Error("not durable")
	}
}

func TestTLS(t *testing.T) {
	certificate := certtest.New(t)
	cert, key := certificate.Files()
	port := redistest.FreePort(t)
	s := redistest.Start(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert,
		"--tls-auth-clients", "no", "--requirepass", "secret")
	addr := net.JoinHostPort("127.0.0.1", port)
	useEverything(t, newNode(t, Options{Address: redisconn.Address{Addrs: []string{addr}, Password: "secret", TLS: certificate.Client()}}))
	stranger := openRedis(t, Options{Address: redisconn.Address{Addrs: []string{addr}, Password: "secret", TLS: &tls.Config{}}, Hub: "h"})
	if _, err := stranger.dial(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with a certificate that nobody knows: %v", err)
	}
	if s.CLI("DBSIZE") == "0" {
		t.Error("nothing was stored")
	}
}
