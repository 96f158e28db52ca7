//go:build unix

package redis

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// haltedEnv holds the address of Redis in the process that is to be halted.
const haltedEnv = "SIDESTREAM_TEST_HALTED"

// A process that was halted, or that a busy machine let wait, has not lost what
// Redis sent it meanwhile: its subscription is as good as before.
func TestHaltedProcess(t *testing.T) {
	if addr := os.Getenv(haltedEnv); addr != "" {
		beHalted(t, addr)
		return
	}
	server := redistest.Start(t, "--appendonly", "no")
	cmd := exec.Command(os.Args[0], "-test.run", "^TestHaltedProcess$", "-test.v")
	cmd.Env = append(os.Environ(), haltedEnv+"="+server.Addr)
	redistest.EndWithTest(cmd, syscall.SIGKILL)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	said := bufio.NewScanner(out)
	waitFor := func(word string) string {
		for said.Scan() {
			if strings.HasPrefix(said.Text(), word) {
				return said.Text()
			}
		}
		t.Fatalf("the process ended without saying %q", word)
		return ""
	}
	waitFor("listening")
	a := newApp(t, server.Addr)
	n := 0
	for range 4 {
		cmd.Process.Signal(syscall.SIGSTOP)
		halted := time.NewTimer(5 * haltedProbe)
		for range 100 {
			n++
			a.publish("room:1", strconv.Itoa(n))
		}
		<-halted.C
		cmd.Process.Signal(syscall.SIGCONT)
		n++
		a.publish("room:1", strconv.Itoa(n))
		waitFor("has " + strconv.Itoa(n))
	}
	a.publish("room:1", "last")
	if got, want := waitFor("in all"), fmt.Sprintf("in all %d messages, 0 gaps, 0 reconnects", n+1); got != want {
		t.Errorf("%s; want %s", got, want)
	}
	for said.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

const haltedProbe = 200 * time.Millisecond // as config sets it

// beHalted listens until it hears "last".
func beHalted(t *testing.T, addr string) {
	m := newMemory()
	s := run(t, rooms(addr), Options{Publisher: m}).connected()
	fmt.Println("listening")
	told := 0
	redistest.Until(t, "the last message", func() bool {
		bodies := m.bodies("1")
		if len(bodies) == 0 || bodies[len(bodies)-1] == "gap" {
			return false
		}
		last := bodies[len(bodies)-1]
		if n, _ := strconv.Atoi(last); n > told {
			told = n
			fmt.Println("has", n)
		}
		return last == "last"
	})
	s.end()
	fmt.Printf("in all %d messages, %d gaps, %d reconnects\n", len(m.bodies("1"))-m.gaps(), m.gaps(), s.Stats().Reconnects)
}
