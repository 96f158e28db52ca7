package presence

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// app is what an app makes of what it is told.
type app struct {
	t *testing.T

	mu    sync.Mutex
	there map[string]map[string]State // channel, user
	lines []string
	fail  func() bool
	ids   map[string]bool // that were taken
	began bool            // was told once that what it knew is void
	lax   bool            // two nodes may have told it at a time
	slow  time.Duration
}

func newApp(t *testing.T) *app {
	return &app{t: t, there: map[string]map[string]State{}, ids: map[string]bool{}}
}

func (a *app) send(ctx context.Context, n *Notice) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.slow > 0 {
		a.mu.Unlock()
		time.Sleep(a.slow)
		a.mu.Lock()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if a.fail != nil && a.fail() {
		return errors.New("the app is down")
	}
	if a.ids[n.ID] {
		a.t.Errorf("%s was taken twice", n.ID)
	}
	a.ids[n.ID] = true
	users := a.there[n.Channel]
	if users == nil {
		users = map[string]State{}
	}
	_, known := users[n.User]
	switch n.Kind {
	case Reset:
		a.began = true
		maps.DeleteFunc(a.there, func(name string, _ map[string]State) bool { return !slices.Contains(n.Channels, name) })
		a.lines = append(a.lines, fmt.Sprint("reset ", n.Channels))
		return nil
	case Listed:
		clear(users)
		for _, p := range n.Users {
			users[p.User] = p.State
		}
		a.lines = append(a.lines, fmt.Sprintf("%s snapshot %d", n.Channel, n.Count))
	case Counted:
		clear(users)
		a.lines = append(a.lines, fmt.Sprintf("%s count %d", n.Channel, n.Count))
	case Joined, Changed:
		if known != (n.Kind == Changed) {
			a.wrong("%s %s %s, known: %v", n.Channel, n.Kind, n.User, known)
		}
		users[n.User] = n.State
	case Left:
		if !known {
			a.wrong("%s left, and was not known in %s", n.User, n.Channel)
		}
		delete(users, n.User)
	}
	if n.User != "" {
		a.lines = append(a.lines, fmt.Sprintf("%s %s %s %s", n.Channel, n.Kind, n.User, n.State))
	}
	if n.Kind != Counted && len(users) != n.Count {
		a.wrong("%d users known of %d after %s %s in %s", len(users), n.Count, n.Kind, n.User, n.Channel)
	}
	if a.there[n.Channel] = users; len(users) == 0 {
		delete(a.there, n.Channel)
	}
	return nil
}

func (a *app) wrong(format string, args ...any) {
	if !a.lax {
		a.t.Errorf(format, args...)
	}
}

func (a *app) took() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	lines := a.lines
	a.lines = nil
	return lines
}

func (a *app) expect(lines ...string) {
	a.t.Helper()
	if got := a.took(); !slices.Equal(got, lines) {
		a.t.Errorf("the app was told %q, want %q", got, lines)
	}
}

func everywhere(string) bool { return true }

func TestAppIsToldEveryChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a := alone(t, Config{}), newApp(t)
		teller := r.Tell(func(channel string) bool { return channel != "secret" }, a.send)
		defer teller.Close()
		r.Configure(Config{Tells: true})
		pass(time.Second)
		s := r.Enter("1", "7", Idle)
		r.Enter("secret", "7", Idle)
		pass(time.Second)
		s.Set(Active)
		pass(time.Second)
		a.expect("reset []", "1 joined 7 idle", "1 state 7 active")
		pass(DefaultGrace)
		a.expect("reset [1]", "1 snapshot 1") // all have come back by now
		s.Leave()
		pass(time.Minute)
		a.expect("1 left 7 offline")
		r.Enter("2", "7", Active)
		pass(time.Second)
		a.took()
		r.Snapshot("2")
		pass(time.Second)
		a.expect("2 snapshot 1")
		r.Snapshot("")
		pass(time.Second)
		a.expect("reset [2]", "2 snapshot 1")
		r.Snapshot("nobody")
		pass(time.Second)
		a.expect("nobody snapshot 0")
		r.Configure(Config{})
		r.Enter("2", "8", Active)
		pass(time.Minute)
		a.expect()
		if s := teller.Stats(); s.Telling || s.Waiting != 0 || s.Failed != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// What the app does not take is told again, in its order; when too much has not been
// told, the app is told who is there instead.
func TestAppIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a := alone(t, Config{Grace: -1, Names: 100}), newApp(t)
		teller := r.Tell(everywhere, a.send)
		defer teller.Close()
		r.Configure(Config{Grace: -1, Tells: true})
		pass(time.Second)
		a.took()
		a.mu.Lock()
		a.fail = func() bool { return true }
		a.mu.Unlock()
		stays := map[string]*Stay{}
		for i := range 10 {
			stays[fmt.Sprint(i)] = r.Enter("1", fmt.Sprint(i), Active)
			pass(100 * time.Millisecond)
		}
		stays["3"].Leave()
		pass(5 * time.Second)
		a.mu.Lock()
		a.fail = nil
		a.mu.Unlock()
		pass(time.Minute)
		lines := a.took()
		if len(lines) != 11 || lines[0] != "1 joined 0 active" || lines[10] != "1 left 3 offline" {
			t.Errorf("%q", lines)
		}
		a.mu.Lock()
		a.fail = func() bool { return true }
		a.mu.Unlock()
		for range 2 * maxUntold {
			stays["4"].Leave()
			stays["4"] = r.Enter("1", "4", Active)
		}
		r.Enter("1", "last", Active)
		pass(9 * time.Minute)
		if s := teller.Stats(); s.Waiting > maxUntold || s.Replaced == 0 {
			t.Errorf("%+v", s)
		}
		a.mu.Lock()
		a.fail = nil
		a.mu.Unlock()
		pass(2 * time.Minute)
		if lines := a.took(); lines[len(lines)-1] != "1 snapshot 10" {
			t.Errorf("%q", lines)
		}
		if a.there["1"]["last"] != Active || len(a.there["1"]) != 10 {
			t.Errorf("%v", a.there)
		}
	})
}

// While the nodes do not hear each other, nobody is told that somebody has left who
// has not; afterwards the app is told what has changed.
func TestAppIsToldNoLieWhileTheBusIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, net: new(network), cfg: Config{Tells: true}}
		a := newApp(t)
		nodes := []*testNode{c.start(), c.start()}
		for _, n := range nodes {
			defer n.kill()
			defer n.Tell(everywhere, a.send).Close()
		}
		pass(30 * time.Second)
		a.took()
		nodes[0].enter("7", Active)
		nodes[1].enter("8", Active)
		pass(time.Second)
		lines := a.took()
		slices.Sort(lines)
		if !slices.Equal(lines, []string{"1 joined 7 active", "1 joined 8 active"}) {
			t.Errorf("%q", lines)
		}
		for _, n := range nodes {
			n.port.setCut(true)
		}
		pass(time.Minute)
		nodes[0].leave("7")
		nodes[0].enter("9", Active)
		nodes[1].enter("10", Idle)
		pass(time.Minute)
		a.expect()
		for _, n := range nodes {
			n.port.setCut(false)
		}
		pass(30 * time.Second)
		lines = a.took()
		slices.Sort(lines)
		if !slices.Equal(lines, []string{"1 joined 10 idle", "1 joined 9 active", "1 left 7 offline"}) {
			t.Errorf("%q", lines)
		}
	})
}

// Whatever happens, the app knows the truth after quiet, and as long as no node is cut
// off from others that tell, it was told every join and leave in turn.
func TestAppKnowsTheTruthAfterQuiet(t *testing.T) {
	for seed := range uint64(100) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { wildApp(t, rand.New(rand.NewPCG(seed, 2))) })
		})
	}
}

func wildApp(t *testing.T, random *rand.Rand) {
	net, a := new(network), newApp(t)
	c := &cluster{t: t, net: net, cfg: Config{Tells: true, Names: 3 + random.IntN(30), Grace: time.Duration(random.IntN(20)-1) * time.Second,
		Lease: time.Duration(2+random.IntN(20)) * time.Second}}
	a.lax = random.IntN(2) == 0
	down, gone := false, false
	chance := rand.New(rand.NewPCG(random.Uint64(), 1)) // of the app alone, which is told by goroutines
	a.fail = func() bool { return down || chance.IntN(10) == 0 }
	a.slow = time.Duration(random.IntN(100)) * time.Millisecond
	type pair struct {
		*testNode
		teller *Teller
	}
	start := func() pair {
		n := c.start()
		return pair{n, n.Tell(everywhere, a.send)}
	}
	end := func(p pair) {
		p.teller.Close()
		p.kill()
	}
	nodes := []pair{start()}
	for range 200 {
		n := nodes[random.IntN(len(nodes))]
		user := fmt.Sprint(random.IntN(15))
		switch random.IntN(20) {
		case 0:
			if a.lax {
				n.port.setCut(!n.port.cut)
				break
			}
			gone = !gone // for all
			for _, n := range nodes {
				n.port.setCut(gone)
			}
		case 1:
			if len(nodes) < 4 && !gone {
				nodes = append(nodes, start())
			}
		case 2:
			if len(nodes) > 1 && !gone {
				i := random.IntN(len(nodes))
				end(nodes[i])
				nodes = append(nodes[:i:i], nodes[i+1:]...)
			}
		case 3:
			a.mu.Lock()
			down = !down
			a.mu.Unlock()
		case 4, 5, 6:
			n.leave(user)
		case 7, 8, 9, 10, 11:
			n.enter(user, Idle+State(random.IntN(2)))
		default:
			pass(time.Duration(random.IntN(6000)) * time.Millisecond)
		}
	}
	a.mu.Lock()
	down, a.fail = false, nil
	a.mu.Unlock()
	for _, n := range nodes {
		n.port.setCut(false)
	}
	pass(3*c.cfg.Lease + max(c.cfg.Grace, 0) + 2*time.Minute)
	if a.lax {
		pass(tellAllEvery)
	}
	truth := map[string]State{}
	for _, n := range nodes {
		for user, stays := range n.stays {
			for _, s := range stays {
				truth[user] = max(truth[user], s.state)
			}
		}
	}
	tellers := 0
	for _, n := range nodes {
		if n.teller.Stats().Telling {
			tellers++
		}
		if s := n.teller.Stats(); s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	}
	if tellers != 1 || !a.began {
		t.Errorf("%d of %d nodes tell", tellers, len(nodes))
	}
	if many := c.cfg.Names - c.cfg.Names/10; len(truth) <= many && !maps.Equal(a.there["1"], truth) {
		t.Errorf("the app knows %v, and the truth is %v", a.there["1"], truth)
	}
	for _, n := range nodes {
		end(n)
	}
}
