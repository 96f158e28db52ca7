package presence

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-078801ba/sidestream/stream/bus"
)

// alone makes the roster of a node without others.
func alone(t *testing.T, c Config) *Roster {
	r := New(bus.NewMemory(), c)
	t.Cleanup(r.Close)
	return r
}

// pass lets time pass, and everything happen that does meanwhile.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestUserWithThreeTabsIsThereOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := alone(t, Config{})
		rec, _ := watch(t, r, "1")
		pass(time.Second)
		rec.expect("snapshot 0")
		began := time.Now()
		one, two, three := r.Enter("1", "7", Idle), r.Enter("1", "7", Idle), r.Enter("1", "7", Idle)
		pass(time.Second)
		rec.expect("joined 7 idle")
		two.Set(Active)
		pass(time.Second)
		rec.expect("state 7 active")
		users, count := r.Channel("1")
		if count != 1 || len(users) != 1 || users[0] != (Present{"1", "7", Active, 3, began, began.Add(time.Second)}) {
			t.Errorf("%+v, %d", users, count)
		}
		if s := r.Stats(); s.Channels != 1 || s.Users != 1 || s.Streams != 3 || s.Nodes != 1 || s.Joins != 1 {
			t.Errorf("%+v", s)
		}
		two.Set(Idle) // said so: at once
		pass(time.Second)
		rec.expect("state 7 idle")
		one.Leave()
		one.Leave()
		two.Leave()
		pass(time.Minute)
		rec.expect()
		three.Leave()
		pass(DefaultGrace - time.Second)
		rec.expect()
		pass(2 * time.Second)
		rec.expect("left 7 offline")
		if len(r.channels) != 1 || len(r.channels["1"].members) != 0 || r.members != 0 {
			t.Errorf("left over: %+v", r.channels)
		}
		if users, count := r.Channel("1"); len(users) != 0 || count != 0 || len(r.User("7")) != 0 {
			t.Errorf("%v, %d", users, count)
		}
	})
}

func TestShortAbsenceIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := alone(t, Config{Grace: 10 * time.Second})
		rec, _ := watch(t, r, "1")
		s := r.Enter("1", "7", Active)
		pass(time.Second)
		rec.expect("snapshot 1")
		for range 20 {
			s.Leave()
			pass(9 * time.Second)
			if users, _ := r.Channel("1"); len(users) != 1 || users[0].Streams != 0 || users[0].State != Active {
				t.Errorf("%+v", users)
			}
			s = r.Enter("1", "7", Active)
			pass(2 * time.Second)
		}
		rec.expect()
		// The active tab comes back, too.
		r.Enter("1", "7", Idle)
		s.Leave()
		pass(9 * time.Second)
		s = r.Enter("1", "7", Active)
		pass(time.Minute)
		rec.expect()
		s.Leave()
		pass(11 * time.Second)
		rec.expect("state 7 idle")
		s = r.Enter("1", "7", Active)
		s.Quit()
		pass(time.Second)
		rec.expect("state 7 active", "state 7 idle")
	})
}

func TestWhoSaysGoodbyeIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := alone(t, Config{})
		rec, w := watch(t, r, "1")
		s := r.Enter("1", "7", Active)
		pass(time.Second)
		rec.took()
		s.Quit()
		s.Quit()
		s.Set(Active)
		pass(time.Second)
		rec.expect("left 7 offline")
		w.Stop()
		w.Stop()
		r.Enter("1", "8", Active)
		pass(time.Minute)
		rec.expect()
		if r.Enter("1", "", Active) != nil || r.Enter("1", "7", Offline) != nil {
			t.Error("somebody is there who is not")
		}
		var nobody *Stay
		nobody.Leave()
	})
}

// What a Watch lists in between is in turn with what it tells.
func TestListIsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := alone(t, Config{})
		var told []string
		w := r.Watch("1", func(changes []Change) {
			for _, c := range changes {
				told = append(told, fmt.Sprint(c.Kind, c.Count))
			}
		})
		pass(time.Second)
		for i := range 100 {
			r.Enter("1", fmt.Sprint(i), Active)
			if i%10 == 5 {
				w.List(func(c Change) {
					told = append(told, fmt.Sprint("list", c.Count))
					if len(c.Users) != c.Count {
						t.Errorf("%d users of %d", len(c.Users), c.Count)
					}
				})
			}
			if i%7 == 0 {
				pass(30 * time.Millisecond)
			}
		}
		pass(time.Second)
		count, lists := 0, 0
		for _, line := range told[1:] {
			var n int
			if _, err := fmt.Sscanf(line, "list%d", &n); err == nil {
				lists++
				if n != count {
					t.Errorf("%s after %d joins", line, count)
				}
			} else if fmt.Sscanf(line, "joined%d", &n); n != count+1 {
				t.Errorf("%s after %d", line, count)
			} else {
				count = n
			}
		}
		if count != 100 || lists != 10 {
			t.Errorf("%d joins, %d lists", count, lists)
		}
	})
}

// A channel with many users tells how many, not who; when they are fewer again,
// watchers are told who is there.
func TestManyUsersAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := alone(t, Config{Names: 10, Grace: -1})
		rec, _ := watch(t, r, "1")
		stays := []*Stay{}
		for i := range 5000 {
			stays = append(stays, r.Enter("1", fmt.Sprint(i), Active))
			if i%100 == 0 {
				pass(100 * time.Millisecond)
			}
		}
		pass(2 * time.Second)
		lines := rec.took()
		if last := lines[len(lines)-1]; last != "count 5000" || len(lines) > 20 {
			t.Errorf("%d lines, the last is %s", len(lines), last)
		}
		if users, count := r.Channel("1"); users != nil || count != 5000 {
			t.Errorf("%d users, %d", len(users), count)
		}
		for _, s := range stays[:4991] {
			s.Leave()
		}
		pass(2 * time.Second)
		if lines := rec.took(); lines[len(lines)-1] != "snapshot 9" {
			t.Errorf("%q", lines)
		}
		stays[4999].Leave()
		pass(time.Second)
		rec.expect("left 4999 offline")
		r.Configure(Config{Names: 2, Grace: -1})
		pass(2 * time.Second)
		rec.expect("count 8")
	})
}

func TestWatchAllHearsEveryChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := alone(t, Config{Grace: -1})
		r.Enter("1", "7", Active)
		var told []string
		w := r.WatchAll(func(changes []Change) {
			for _, c := range changes {
				told = append(told, fmt.Sprint(c.Channel, c.Kind, c.User))
			}
		})
		pass(time.Second)
		s := r.Enter("2", "8", Active)
		pass(time.Second)
		s.Leave()
		pass(time.Second)
		w.Stop()
		r.Enter("3", "8", Active)
		pass(time.Second)
		if got := fmt.Sprint(told); got != "[1snapshot 2joined8 2left8]" {
			t.Error(got)
		}
		if len(r.Channels()) != 2 || len(r.User("8")) != 1 {
			t.Errorf("%v %v", r.Channels(), r.User("8"))
		}
	})
}
