package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// sObject is a message as a platform event of Salesforce is one.
type sObject struct {
	Schema  string
	Payload struct{ Number int }
	Event   struct {
		ReplayID int64 `json:"replayId"`
	}
}

// jsforce of npm finds a server that speaks as Salesforce does: it begins where its
// replay id says, goes on over a restart, and is told of an id of no use.
func TestClientsOfSalesforce(t *testing.T) {
	b := newBackend(t)
	directives := func(more string) string {
		return strings.Replace(b.directives(fmt.Sprintf(`bayeux /cometd/58.0 {
			salesforce
			%s
		}
		history {
			store file
		}`, more)), "map body    {json.text}", "map data    {json.object}", 1)
	}
	s := start(t, directives(""))
	publish := func(n int) {
		t.Helper()
		body := fmt.Sprintf(`{"channel":"Order__e","id":%d,"object":{"schema":"s","payload":{"number":%d}}}`, n, n)
		if status, answer := s.post("/hooks/own", []byte(body)); status/100 != 2 {
			t.Fatalf("publishing: %d %s", status, answer)
		}
	}
	const token = "00D5e000001N20Q!AQkAQO.some_token"
	b.decide("OAuth "+token, "Order__e", verdict{})
	listen := func(replay int64) *process {
		t.Helper()
		p := node(t, nil, "jsforce.js", s.url, token, "/event/Order__e", fmt.Sprint(replay))
		if text, ok := p.errOut.waitFor(func(text string) bool { return strings.Contains(text, "\n") }); !ok || strings.Contains(text, "AUTH") {
			t.Fatalf("jsforce: %s", text)
		}
		return p
	}
	received := func(p *process, n int) (numbers []int, last int64) {
		t.Helper()
		// What a killed process had given and not noted is given again: such clients
		// do not acknowledge.
		text, ok := p.out.waitFor(func(text string) bool { return len(slices.Compact(lines(text))) >= n })
		if !ok {
			warned, _, _ := p.errOut.state()
			t.Fatalf("jsforce got %q, and said %s", text, warned)
		}
		for _, line := range slices.Compact(lines(text)) {
			var got sObject
			if err := json.Unmarshal([]byte(line), &got); err != nil || got.Schema != "s" || got.Event.ReplayID <= last || got.Event.ReplayID >= 1<<53 {
				t.Fatalf("jsforce got %s after %d: %v", line, last, err)
			}
			numbers, last = append(numbers, got.Payload.Number), got.Event.ReplayID
		}
		return numbers, last
	}
	for n := range 3 {
		publish(n)
	}
	all, fresh := listen(-2), listen(-1)
	_, third := received(all, 3)
	for n := 3; n < 6; n++ {
		publish(n)
	}
	s.restart(syscall.SIGKILL)
	publish(6)
	after := listen(third)
	for name, c := range map[string]struct {
		p    *process
		from int
	}{"all": {all, 0}, "new": {fresh, 3}, "after an id": {after, 3}} {
		var want []int
		for n := c.from; n < 7; n++ {
			want = append(want, n)
		}
		if got, _ := received(c.p, len(want)); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	void := listen(third ^ 1<<45)
	if text, _, _ := void.errOut.state(); !strings.Contains(text, "ERROR") || !strings.Contains(text, "you provided was invalid") {
		t.Errorf("a void id: %s", text)
	}
	s.reload(directives("replay_invalid all"))
	if got, _ := received(listen(third^1<<45), 7); len(got) != 7 {
		t.Errorf("a void id that stands for all: %v", got)
	}
}
