package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// tamburDirectives is a site with the app of the suites.
func tamburDirectives(backend *testBackend, more string) string {
	return backend.directives(`
		tambur {
			app ` + tamburApp + ` ` + tamburKey + ` ` + tamburSecret + `
			` + more + `
		}
		flowdock`)
}

// What the README of the clients promises, one after the other.
func TestTambur(t *testing.T) {
	t.Parallel()
	backend := newBackend(t)
	s := start(t, tamburDirectives(backend, "open mystream test"))
	s.t = t
	alice, bob := tambur(t, s.url+tamburPath), tambur(t, s.url+tamburPath)
	if alice.id == bob.id {
		t.Fatal("two clients have one id")
	}
	for _, c := range []*tamburClient{alice, bob} {
		c.ok("subscribe", "mystream")
	}
	if answer := alice.does("subscribe", "mystream"); answer != "already_subscribed" {
		t.Errorf("subscribed twice: %s", answer)
	}

	// tambur.publish('mystream', 'some message')
	s.tamburSays("mystream", "some message")
	alice.gets("mystream", "", "some message")
	bob.gets("mystream", "", "some message")
	s.tamburSays("mystream", `{"a":1}`) // stays text
	alice.gets("mystream", "", `{"a":1}`)
	bob.gets("mystream", "", `{"a":1}`)

	// tambur.generate_auth_token('mystream', subscriber_id), publish('auth:mystream', ...)
	if answer := alice.does("set_mode", "auth", "mystream", tamburToken("auth", "mystream", bob.id)); answer != "invalid_token" {
		t.Errorf("bob's token: %s", answer)
	}
	alice.ok("set_mode", "auth", "mystream", tamburToken("auth", "mystream", alice.id))
	s.tamburSays("auth:mystream", "some auth message")
	s.tamburSays("mystream", "for all")
	alice.gets("mystream", "auth", "some auth message")
	alice.gets("mystream", "", "for all")
	bob.gets("mystream", "", "for all")
	alice.ok("unset_mode", "auth", "mystream")
	s.tamburSays("auth:mystream", "for nobody")
	alice.gotNothing()

	// generate_presence_token('mystream', 'Alice', subscriber_id)
	alice.ok("set_mode", "presence", "mystream", "Alice", tamburToken("presence", "mystream:Alice", alice.id))
	bob.ok("set_mode", "presence", "mystream", "Bob", tamburToken("presence", "mystream:Bob", bob.id))
	alice.gets("mystream", "presence", []string{"Bob", "up"})
	bob.ok("unset_mode", "presence", "mystream")
	alice.gets("mystream", "presence", []string{"Bob", "down"})
	alice.gotNothing()
	bob.gotNothing()

	// generate_direct_token('mystream', 'Alice', subscriber_id)
	if answer := bob.does("direct", "mystream", "Alice", "hello"); answer != "direct_mode_not_enabled" {
		t.Errorf("without the mode: %s", answer)
	}
	alice.ok("set_mode", "direct", "mystream", "Alice", tamburToken("direct", "mystream:Alice", alice.id))
	bob.ok("set_mode", "direct", "mystream", "Bob", tamburToken("direct", "mystream:Bob", bob.id))
	bob.ok("direct", "mystream", "Alice", "hello")
	alice.gets("mystream", "direct", []string{"Bob", "hello"})
	bob.ok("direct", "mystream", "Nobody", "this call will always work")
	alice.ok("unset_mode", "direct", "mystream", "Alice")
	bob.ok("direct", "mystream", "Alice", "unheard")
	alice.gotNothing()

	// tambur.publish('private:' + subscriber_id, 'some private message')
	alice.ok("subscribe", "private") // as clients do that come back
	alice.ok("subscribe", "private")
	s.tamburSays("private:"+alice.id, "some private message")
	alice.gets("private", "", "some private message")
	bob.gotNothing()

	alice.ok("unsubscribe", "mystream")
	s.tamburSays("mystream", "unheard")
	alice.gotNothing()
	if len(backend.asked()) > 0 {
		t.Errorf("the backend was asked about open streams: %v", backend.asked())
	}
}

// A stream is a channel like every other: what comes in by a webhook reaches
// subscribers, what is published reaches listeners of other kinds, and the backend
// decides who may listen, for as long as it does.
func TestTamburStreamsAreChannels(t *testing.T) {
	t.Parallel()
	backend := newBackend(t)
	s := start(t, strings.Replace(tamburDirectives(backend, ""), "user  json user_id", "user  json user_id\n cache 1s\n recheck 1s", 1))
	s.t = t
	stranger, ann := tambur(t, s.url+tamburPath), tambur(t, s.url+tamburPath, "Authorization", "Bearer "+goodToken)
	if answer := stranger.does("subscribe", "5"); answer != "not_allowed" {
		t.Errorf("without a credential: %s", answer)
	}
	ann.ok("subscribe", "5")
	ann.ok("set_mode", "auth", "5", tamburToken("auth", "5", ann.id))
	events := s.open("/flows?filter=5", basic(goodToken), "Accept: text/event-stream")
	s.publish("5", 1, "by a webhook")
	ann.gets("5", "", "by a webhook")
	events.until("by a webhook")
	s.tamburSays("auth:5", "a secret")
	s.tamburSays("5", "published <b> ä")
	ann.gets("5", "auth", "a secret")
	ann.gets("5", "", "published <b> ä")
	if seen := strings.Join(events.until("published"), ""); strings.Contains(seen, "a secret") {
		t.Errorf("the other client was told %q", seen)
	}
	backend.decide(goodToken, "5", verdict{status: http.StatusForbidden}) // and no longer
	if got := ann.frame(); got != `["ack",0,"access_ended"]` {
		t.Errorf("when the right ended: %s", got)
	}
	s.tamburSays("auth:5", "unheard")
	s.tamburSays("5", "unheard")
	ann.gotNothing()
	if st := s.open("/flows?filter=mode~"+tamburApp+":auth:5", basic(goodToken)); st.status != http.StatusBadRequest {
		t.Errorf("the channel of a mode: %d", st.status)
	}
}

func TestTamburAnswers(t *testing.T) {
	t.Parallel()
	backend := newBackend(t)
	s := start(t, tamburDirectives(backend, "open s"))
	s.t = t
	c := tambur(t, s.url+tamburPath)
	c.ok("subscribe", "s")
	for want, command := range map[string][]string{
		"not_subscribed":  {"set_mode", "auth", "other", "token"},
		"unknown_mode":    {"set_mode", "root", "s", "token"},
		"invalid_token":   {"set_mode", "auth", "s", strings.Repeat("0", 40)},
		"invalid_user":    {"set_mode", "direct", "s", "a:b", tamburToken("direct", "s:a:b", c.id)},
		"unknown_command": {"publish", "s", "x"},
		"bad_json":        {"set_mode", "auth"},
		"invalid_stream":  {"subscribe", "user:7"},
	} {
		if got := c.does(command[0], command[1:]...); got != want {
			t.Errorf("%q: %s, want %s", command, got, want)
		}
	}
	for name, change := range map[string]func(url.Values){
		"the signature is not":  func(v url.Values) { v.Set("secret", "other") },
		"oauth_consumer_key is": func(v url.Values) { v.Set("oauth_consumer_key", "x") },
		"api_version and":       func(v url.Values) { v.Del("message") },
		"oauth_timestamp":       func(v url.Values) { v.Set("oauth_timestamp", "1354000000") },
	} {
		if status, answer := s.tamburPost("", "s", "x", change); status/100 != 4 || !strings.HasPrefix(answer, name) {
			t.Errorf("%s: %d %q", name, status, answer)
		}
	}
	same := func(v url.Values) { v.Set("oauth_nonce", "once") }
	first, _ := s.tamburPost("", "s", "x", same)
	second, why := s.tamburPost("", "s", "x", same)
	if first != 204 || second != 401 || !strings.HasPrefix(why, "oauth_nonce was used") {
		t.Errorf("a nonce twice: %d, %d %s", first, second, why)
	}
}
