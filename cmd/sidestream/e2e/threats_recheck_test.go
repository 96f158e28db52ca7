package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// recheckSite asks again every second; the revocation test's cadence is long.
func recheckSite(b *testBackend, cadence, grace, more string) string {
	return strings.Replace(b.directives(more), "user  json user_id", fmt.Sprintf("user  json user_id\n cache 1s\n negative 1s\n recheck %s\n grace %s\n timeout 1s", cadence, grace), 1)
}

// everyFormat opens a stream of a channel in each format, over each version of
// HTTP for one of them.
func (f *fortress) everyFormat(t *testing.T, channel, token string) []*reading {
	t.Helper()
	all := []*reading{
		f.fetch(t, "http/1.1", "GET", "/room/"+channel+"/live.json", basic(token)),
		f.fetch(t, "h2", "GET", "/room/"+channel+"/live.xml", basic(token)),
		f.fetch(t, "http/1.1 over TLS", "GET", "/flows?filter="+channel, basic(token)),
		f.fetch(t, "http/1.1", "GET", "/flows?filter="+channel, basic(token), "Accept: text/event-stream"),
		f.fetch(t, "h2", "GET", "/flows?filter="+channel, basic(token), "Accept: text/event-stream"),
	}
	for _, r := range all {
		if !r.isStream() {
			t.Fatalf("%s: %d %q", r.name, r.status, r.text())
		}
	}
	return all
}

// A client that is denied while its stream runs is cut off; what it got is of
// before. How soon that is, the tests of stream/access tell, with a clock of their
// own.
func TestDeniedMidStream(t *testing.T) {
	f := besiege(t, "history {\n store memory\n}\n heartbeat flowdock 1s", "", "")
	f.reconfigure(recheckSite(f.b, "1s", "30s", "history {\n store memory\n}\n heartbeat flowdock 1s"))
	f.b.decide("alice", "secret", verdict{})
	streams := f.everyFormat(t, "secret", "alice")
	stays := f.everyFormat(t, "secret", goodToken)
	for _, r := range append(streams, stays...) {
		r.awaits(t, f.canary)
	}
	f.b.decide("alice", "secret", verdict{status: 403})
	for _, r := range streams {
		r.awaitsEnd(t)
	}
	counts := make([]int, len(streams))
	for i, r := range streams {
		counts[i] = strings.Count(r.text(), f.canary)
	}
	f.sing()
	for i, r := range streams {
		if got := strings.Count(r.text(), f.canary); got != counts[i] {
			t.Errorf("%s: %d canaries after the end", r.name, got-counts[i])
		}
		if again := f.fetch(t, "http/1.1", "GET", "/room/secret/live.json", basic("alice")); again.status != 403 {
			t.Errorf("a new stream: %d", again.status)
		}
	}
	for _, r := range stays {
		if _, ended, _ := r.out.state(); ended {
			t.Errorf("%s ended for somebody else", r.name)
		}
	}
}

// reconfigure makes the running process take other directives, at both addresses.
func (f *fortress) reconfigure(directives string) {
	f.t.Helper()
	f.writeSites(directives, "", "")
	p := run(f.t, f.env(), f.folder, command(f.t), "reload", "--config", f.caddyfile(), "--adapter", "caddyfile")
	<-p.exited
	if p.err != nil {
		f.t.Fatalf("reload: %v %s", p.err, p.errOut.tail(4000))
	}
}

// While the app does not answer, streams that run go on for the grace and are
// ended then; new ones are refused at once.
func TestBackendDownMidStream(t *testing.T) {
	f := besiege(t, "history {\n store memory\n}", "", "")
	f.reconfigure(recheckSite(f.b, "1s", "4s", "history {\n store memory\n}"))
	streams := f.everyFormat(t, "open", goodToken)
	f.b.decide(goodToken, "", verdict{status: 502})
	f.b.decide("late", "", verdict{status: 500})
	asked := len(f.b.asked())
	eventually(t, "a re-check that fails", func() bool { return len(f.b.asked()) > asked+2 })
	f.publish("open", 1, "in the grace")
	for _, r := range streams {
		r.awaits(t, "in the grace")
	}
	late := f.fetch(t, "http/1.1", "GET", "/room/open/live.json", basic("late"))
	if late.status != 503 || late.header.Get("Retry-After") == "" {
		t.Errorf("a new stream: %d %v", late.status, late.header)
	}
	sse := f.fetch(t, "h2", "GET", "/flows?filter=open", basic("late"), "Accept: text/event-stream")
	if text := sse.awaitsEnd(t); sse.status != 200 || !strings.HasPrefix(text, "retry: ") || strings.Contains(text, "data:") {
		t.Errorf("a new SSE stream: %d %q", sse.status, text)
	}
	for _, r := range streams {
		r.awaitsEnd(t)
	}
	f.b.decide(goodToken, "", verdict{})
	eventually(t, "the app is believed again", func() bool {
		r := f.fetch(t, "http/1.1", "GET", "/room/open/live.json", basic(goodToken))
		defer r.end()
		return r.isStream()
	})
}

// A revocation makes Sidestream ask at once, long before the cadence; a forged
// one does nothing, and one that is not true denies nobody.
func TestRevocation(t *testing.T) {
	const secret, homeserver = "the-secret-of-revocation-is-long", "the-token-of-the-homeserver-is-long"
	more := `history {
			store memory
		}
		revoke /hooks/revoke {
			secret ` + secret + `
		}
		webhook /hooks/matrix {
			preset matrix
			secret ` + homeserver + `
		}`
	f := besiege(t, more, "", "")
	f.reconfigure(recheckSite(f.b, "10m", "30m", more))
	post := func(method, path, bearer, body string) int {
		t.Helper()
		req, err := http.NewRequest(method, f.url+path, bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+bearer)
		status, _ := do(t, req)
		return status
	}
	for _, way := range []struct {
		name   string
		revoke func(user string) int
	}{
		{"the endpoint", func(user string) int {
			return post("POST", "/hooks/revoke", secret, `{"user":"`+user+`","channel":"secret"}`)
		}},
		{"a webhook", func(user string) int {
			return post("PUT", "/hooks/matrix/_matrix/app/v1/transactions/1"+user, homeserver,
				`{"events":[{"event_id":"$1`+user+`","type":"m.room.member","room_id":"secret","sender":"`+user+`","state_key":"`+user+
					`","origin_server_ts":1700000000000,"content":{"membership":"leave"}}]}`)
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			user := "user-" + strings.ReplaceAll(way.name, " ", "-")
			token := user + "-token"
			yes := verdict{status: 200, body: `{"user_id":"` + user + `"}`}
			f.b.decide(token, "", yes)
			streams := f.everyFormat(t, "secret", token)
			if status := post("POST", "/hooks/revoke", "forged", `{"user":"`+user+`"}`); status != 401 {
				t.Errorf("a forged revocation: %d", status)
			}
			before := len(f.b.asked())
			if status := way.revoke(user); status/100 != 2 {
				t.Fatalf("the revocation: %d", status)
			}
			eventually(t, "the app is asked again", func() bool { return len(f.b.asked()) > before })
			f.publish("secret", 5_000_000+len(user), "still-here-"+user)
			for _, r := range streams {
				r.awaits(t, "still-here-"+user) // it was not true
			}
			f.b.decide(token, "", verdict{status: 403})
			if status := way.revoke(user); status/100 != 2 {
				t.Fatalf("the revocation: %d", status)
			}
			for _, r := range streams {
				r.awaitsEnd(t)
			}
		})
	}
}

// Of several channels of which one is taken away, the others go on under
// `filter intersect`; under `filter all` the stream ends.
func TestLosingOneOfSeveral(t *testing.T) {
	for _, filter := range []string{"all", "intersect"} {
		t.Run(filter, func(t *testing.T) {
			f := besiege(t, "history {\n store memory\n}", "", "")
			site := recheckSite(f.b, "1s", "30s", "history {\n store memory\n}")
			f.reconfigure(strings.Replace(site, "recheck 1s", "recheck 1s\n filter "+filter, 1))
			half := f.fetch(t, "http/1.1", "GET", "/flows?filter=open,secret", basic(mallory))
			if (filter == "all") != (half.status == 403) || (filter == "intersect") != (half.header.Get("Stream-Refused") == "secret") {
				t.Errorf("half of the channels: %d %v", half.status, half.header)
			}
			var streams []*reading
			f.b.decide("alice", "secret", verdict{})
			f.b.decide("alice", "open", verdict{})
			for _, protocol := range protocols {
				for _, accept := range []string{"*/*", "text/event-stream"} {
					streams = append(streams, f.fetch(t, protocol, "GET", "/flows?filter=open,secret", basic("alice"), "Accept: "+accept))
				}
			}
			for _, r := range streams {
				r.awaits(t, f.canary)
			}
			f.b.decide("alice", "secret", verdict{status: 404})
			if filter == "all" {
				for _, r := range streams {
					r.awaitsEnd(t)
				}
				return
			}
			n, last := 0, make([]int, len(streams))
			eventually(t, "the canary is not heard any more", func() bool {
				f.sing()
				silent := true
				for i, r := range streams {
					got := strings.Count(r.text(), f.canary)
					silent, last[i] = silent && got == last[i], got
				}
				return silent
			})
			f.publish("open", 77, "of what is left")
			for _, r := range streams {
				r.awaits(t, "of what is left")
				n += strings.Count(r.text(), f.canary)
			}
			f.sing()
			for _, r := range append(streams, half) {
				n -= strings.Count(r.text(), f.canary)
			}
			if n != 0 {
				t.Errorf("%d canaries more than there should be", -n)
			}
		})
	}
}
