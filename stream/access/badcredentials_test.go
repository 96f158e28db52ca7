package access

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestBadCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBadCredentials(0, 0, 0)
		token := func(i int) Credential { return NewCredential(Input{"token", fmt.Sprint(i)}) }
		addr := netip.MustParseAddr("192.0.2.1")
		blocked := func(addr string, want bool) {
			t.Helper()
			if _, got := b.Blocked(netip.MustParseAddr(addr)); got != want {
				t.Errorf("%s blocked: %v", addr, got)
			}
		}
		for range 100 {
			b.Add(addr, token(0)) // one client that insists
			b.Add(addr, Credential{})
		}
		blocked("192.0.2.1", false)
		time.Sleep(10 * time.Second)
		for i := range 19 {
			blocked("192.0.2.1", false)
			b.Add(addr, token(1+i))
		}
		blocked("192.0.2.1", true)
		blocked("::ffff:192.0.2.1", true)
		blocked("192.0.2.2", false)
		if d, _ := b.Blocked(addr); d != 50*time.Second {
			t.Errorf("has to wait %v", d)
		}
		b.Add(addr, token(99)) // goes on: makes it neither longer nor bigger
		time.Sleep(50 * time.Second)
		blocked("192.0.2.1", false)
		b.Add(addr, token(100))
		blocked("192.0.2.1", true)
		time.Sleep(time.Minute)
		blocked("192.0.2.1", false)
		if len(b.byAddress) != 0 {
			t.Error("an address that is forgiven is remembered")
		}

		for i := range 20 { // all from one /64
			b.Add(netip.MustParseAddr(fmt.Sprintf("2001:db8:0:1:%x::1", i)), token(i))
		}
		blocked("2001:db8:0:1:ffff::9", true)
		blocked("2001:db8:0:1::9%eth0", true)
		blocked("2001:db8:0:2::1", false)

		for i := range 100 { // no address at all
			b.Add(netip.Addr{}, token(i))
		}
		if _, got := b.Blocked(netip.Addr{}); got {
			t.Error("nobody is blocked")
		}
	})
}

func TestBadCredentialsAreBounded(t *testing.T) {
	b := NewBadCredentials(2, time.Hour, 100)
	credential := func(i int) Credential { return NewCredential(Input{"token", fmt.Sprint(i)}) }
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
	for i := range 1000 {
		for j := range 5 {
			b.Add(at(i), credential(j))
		}
		b.Add(at(0), credential(i)) // is seen all the time
	}
	if len(b.byAddress) != 100 || b.recent.Len() != 100 {
		t.Errorf("%d addresses remembered", len(b.byAddress))
	}
	for _, x := range []struct {
		i    int
		want bool
	}{{0, true}, {999, true}, {500, false}} {
		if _, got := b.Blocked(at(x.i)); got != x.want {
			t.Errorf("address %d blocked: %v", x.i, got)
		}
	}
}
