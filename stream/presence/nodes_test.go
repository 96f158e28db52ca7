package presence

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// cluster is several nodes on one network.
type cluster struct {
	t   *testing.T
	net *network
	cfg Config
}

type testNode struct {
	*Roster
	port  *port
	rec   *record
	stays map[string][]*Stay // by user
}

func (c *cluster) start() *testNode {
	p := c.net.node()
	n := &testNode{Roster: New(p, c.cfg), port: p, stays: map[string][]*Stay{}}
	n.rec, _ = watch(c.t, n.Roster, "1")
	return n
}

// kill ends a node without a word.
func (n *testNode) kill() {
	n.port.setCut(true)
	n.Close()
	n.port.Close()
}

func (n *testNode) enter(user string, s State) {
	n.stays[user] = append(n.stays[user], n.Enter("1", user, s))
}

func (n *testNode) leave(user string) {
	if stays := n.stays[user]; len(stays) > 0 {
		stays[0].Leave()
		n.stays[user] = stays[1:]
	}
}

func TestTwoNodesHaveOneRoster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, net: new(network)}
		a, b := c.start(), c.start()
		pass(time.Second)
		a.rec.expect("snapshot 0")
		b.rec.expect("snapshot 0")
		a.enter("7", Idle)
		pass(100 * time.Millisecond)
		b.enter("7", Active)
		pass(100 * time.Millisecond)
		for _, n := range []*testNode{a, b} {
			n.rec.expect("joined 7 idle", "state 7 active")
			users, _ := n.Channel("1")
			if len(users) != 1 || users[0].Streams != 2 || users[0].State != Active {
				t.Errorf("%+v", users)
			}
		}
		b.leave("7")
		pass(10 * time.Second)
		a.enter("7", Active)
		pass(10 * time.Second)
		a.rec.expect()
		b.rec.expect()

		late := c.start()
		pass(2 * time.Second)
		if users, _ := late.Channel("1"); len(users) != 1 || users[0].Streams != 2 {
			t.Errorf("a node that comes later knows %+v", users)
		}
		late.Close()
		a.kill()
		pass(DefaultLease + 2*time.Second)
		b.rec.expect("left 7 offline")
		if s := b.Stats(); s.Nodes != 1 || s.Expired != 1 {
			t.Errorf("%+v", s)
		}
		b.kill()
		late.kill()
	})
}

// What happens at a node is known to the others at once, also where nobody at that
// node wants to know.
func TestOthersKnowAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, net: new(network)}
		a, b := c.start(), c.start()
		defer a.kill()
		defer b.kill()
		pass(time.Minute)
		rec, _ := watch(t, b.Roster, "2")
		pass(time.Second)
		rec.expect("snapshot 0")
		for i := range 3 {
			stay := a.Enter("2", fmt.Sprint(i), Idle)
			pass(2 * window)
			rec.expect(fmt.Sprintf("joined %d idle", i))
			stay.Set(Active)
			pass(2 * window)
			rec.expect(fmt.Sprintf("state %d active", i))
			stay.Quit()
			pass(2 * window)
			rec.expect(fmt.Sprintf("left %d offline", i))
		}
	})
}

// A node that says goodbye is not waited for, but its users are.
func TestUsersOfANodeThatEndsComeBackElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, net: new(network)}
		a, b := c.start(), c.start()
		pass(time.Second)
		a.enter("7", Active)
		a.enter("8", Active)
		pass(time.Second)
		b.rec.took()
		a.Close()
		pass(10 * time.Second)
		b.enter("7", Active)
		pass(10 * time.Second)
		b.rec.expect("left 8 offline")
		a.kill()
		b.kill()
	})
}

// A node that is cut off stops claiming, and believes only itself; afterwards all is
// as before.
func TestCutOffNodeStopsClaiming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, net: new(network)}
		a, b := c.start(), c.start()
		pass(time.Second)
		a.enter("7", Active)
		b.enter("8", Active)
		pass(time.Second)
		a.rec.took()
		b.rec.took()
		a.port.setCut(true)
		pass(DefaultLease + time.Second)
		a.rec.expect("left 8 offline")
		b.rec.expect("left 7 offline")
		a.enter("9", Idle)
		a.leave("7")
		pass(time.Minute)
		a.rec.took()
		a.port.setCut(false)
		pass(DefaultLease)
		a.rec.expect("joined 8 active")
		b.rec.expect("joined 9 idle")
		a.kill()
		b.kill()
	})
}

// How much nodes say does not depend on how many streams do nothing.
func TestIdleStreamsCostNoWords(t *testing.T) {
	words := func(streams int) (n int) {
		synctest.Test(t, func(t *testing.T) {
			c := &cluster{t: t, net: new(network)}
			a, b := c.start(), c.start()
			for i := range streams {
				a.Enter("1", fmt.Sprint(i), Active)
			}
			pass(time.Minute)
			before := c.net.said()
			pass(10 * time.Minute)
			n = c.net.said() - before
			a.kill()
			b.kill()
		})
		return n
	}
	none, many := words(0), words(10_000)
	if none != many || none != 2*3*40 {
		t.Errorf("%d words for no streams, %d for 10,000", none, many)
	}
}

// Whatever happens, after quiet every node knows the truth, and was told every join
// and leave in turn: the records check that.
func TestRosterIsTrueAfterQuiet(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { wild(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

// wild has nodes, users and the network do anything.
func wild(t *testing.T, random *rand.Rand) {
	net := new(network)
	c := &cluster{t: t, net: net, cfg: Config{Names: 1 + random.IntN(30), Grace: time.Duration(random.IntN(20)-1) * time.Second,
		Lease: time.Duration(2+random.IntN(20)) * time.Second}}
	lossy := random.IntN(2) == 0
	chance := rand.New(rand.NewPCG(random.Uint64(), 1)) // of the network alone, which has goroutines of its own
	net.lose = func() bool { return lossy && chance.IntN(20) == 0 }
	var nodes []*testNode
	for range 1 + random.IntN(3) {
		nodes = append(nodes, c.start())
	}
	for range 300 {
		n := nodes[random.IntN(len(nodes))]
		user := fmt.Sprint(random.IntN(25))
		switch random.IntN(20) {
		case 0:
			n.port.setCut(!n.port.cut)
		case 1:
			if len(nodes) < 5 {
				nodes = append(nodes, c.start())
			}
		case 2:
			if len(nodes) > 1 && random.IntN(2) == 0 {
				i := random.IntN(len(nodes))
				if random.IntN(2) == 0 {
					nodes[i].Close() // says goodbye
				}
				nodes[i].kill()
				nodes = append(nodes[:i:i], nodes[i+1:]...)
			}
		case 3, 4, 5, 6:
			n.leave(user)
		case 7:
			if stays := n.stays[user]; len(stays) > 0 {
				stays[0].Quit()
				n.stays[user] = stays[1:]
			}
		case 8, 9:
			if stays := n.stays[user]; len(stays) > 0 {
				stays[0].Set(Idle + State(random.IntN(2)))
			}
		case 10, 11, 12, 13, 14:
			n.enter(user, Idle+State(random.IntN(2)))
		default:
			pass(time.Duration(random.IntN(4000)) * time.Millisecond)
		}
	}
	// Quiet.
	net.mu.Lock()
	lossy = false
	net.mu.Unlock()
	for _, n := range nodes {
		n.port.setCut(false)
	}
	pass(2*c.cfg.Lease + max(c.cfg.Grace, 0) + 5*time.Second)

	truth := map[string]State{}
	streams := map[string]int{}
	for _, n := range nodes {
		for user, stays := range n.stays {
			for _, s := range stays {
				truth[user] = max(truth[user], s.state)
				streams[user]++
			}
		}
	}
	for i, n := range nodes {
		users, count := n.Channel("1")
		if count != len(truth) {
			t.Errorf("node %d of %d counts %d users, and there are %d", i, len(nodes), count, len(truth))
		}
		if count <= c.cfg.Names && users == nil && count > c.cfg.Names-c.cfg.Names/10 {
			continue // between the bounds
		}
		if n.rec.count != count || !n.rec.many && !maps.Equal(n.rec.there, truth) {
			t.Errorf("node %d was told of %v, and the truth is %v", i, n.rec.there, truth)
		}
		for _, u := range users {
			if u.State != truth[u.User] || u.Streams != streams[u.User] {
				t.Errorf("node %d knows %+v; the truth: %v, %d streams", i, u, truth[u.User], streams[u.User])
			}
		}
	}
	for _, n := range nodes {
		n.kill()
	}
}
