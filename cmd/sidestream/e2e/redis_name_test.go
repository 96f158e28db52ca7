package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	redisstore "github.com/seed-078801ba/sidestream/stream/log/redis"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

func jsonText(s string) string {
	b, _ := json.Marshal(s) // strings always can be
	return string(b)
}

// Several hubs in one Redis do not meet, whatever they and their channels are
// called; nor does a channel's name get into a key's.
func TestRedisNames(t *testing.T) {
	redis := redistest.Start(t)
	app := redisClient(t, redis.Addr)
	tell(t, app, "SET", "of-the-app", "untouched")
	hubs := []string{"one", "One", "one.two"}
	nodes := make([]*server, len(hubs))
	for i, hub := range hubs {
		nodes[i] = start(t, sharedSite("redis://"+redis.Addr, fmt.Sprintf("hub %q", hub)))
	}
	prefixed := start(t, strings.Replace(sharedSite("redis://"+redis.Addr, `hub one`), "durable", "durable\nprefix *}:{one", 1))
	nodes = append(nodes, prefixed)
	for _, node := range nodes {
		node.awaitHealth(http.StatusOK)
	}
	channels := []string{"*", "[a-z]", "{1}", "1}:{2", "a:b:c", "a b", "☃", `"quoted"`, "?", "%2A", "a\nb", "a\r\nFLUSHALL"}
	for i, channel := range channels {
		var streams []*rawStream
		for _, node := range nodes {
			streams = append(streams, node.open("/flows?filter="+url.QueryEscape(channel), "Accept: text/event-stream"))
		}
		for k, node := range nodes {
			if r := node.hook(channel, fmt.Sprint(i), fmt.Sprintf("to %d of %d.", i, k)); r == nil || r.StatusCode/100 != 2 { // unmapped is taken as well
				t.Fatalf("posting to %q: %v", channel, r)
			}
		}
		for k, st := range streams {
			if strings.ContainsAny(channel, "\r\n") { // no names
				if st.status == http.StatusOK {
					t.Errorf("a stream of %q was opened", channel)
				}
				continue
			}
			if st.status != http.StatusOK {
				t.Errorf("a stream of %q: %d %s", channel, st.status, st.refusal())
				continue
			}
			if c := st.next(); !strings.Contains(c, fmt.Sprintf("to %d of %d.", i, k)) {
				t.Errorf("a stream of %q got %q", channel, c)
			}
			st.conn.Close()
		}
	}
	ours := regexp.MustCompile(`^(sidestream|%2A%7D%3A%7Bone):\{(one|One|one\.two)\}:(head|feed|events|places|index|ids|channels|marks)$`)
	for key := range strings.Lines(redis.CLI("KEYS", "*")) {
		if key = strings.TrimSuffix(key, "\n"); key != "of-the-app" && !ours.MatchString(key) {
			t.Errorf("there is a key %q", key)
		}
	}
	if got := redis.CLI("GET", "of-the-app"); got != "untouched" {
		t.Errorf("the app's key holds %q", got)
	}
}

// The users that the documentation proposes have all rights that are needed,
// and no log holds a password.
func TestRedisUsers(t *testing.T) {
	const secret = "p4ssw0rd-of-redis"
	redis := redistest.Start(t)
	redis.CLI(append([]string{"ACL", "SETUSER", "hub", "on", ">" + secret, "~sidestream:*"}, strings.Fields(redisstore.ACL)...)...)
	redis.CLI(append([]string{"ACL", "SETUSER", "source", "on", ">" + secret},
		strings.Fields("resetchannels &sidestream:probe &chat:* &plain %R~rows -@all "+
			"+subscribe +psubscribe +unsubscribe +punsubscribe +publish +ping +xread +xrange +xinfo|stream +hello +auth +cluster|slots")...)...)
	redis.CLI("CONFIG", "SET", "protected-mode", "no")
	app := redisClient(t, redis.Addr)
	s := start(t, sharedSite("redis://hub:"+secret+"@"+redis.Addr, chatSources("source:"+secret+"@"+redis.Addr)))
	s.awaitHealth(http.StatusOK)
	st := s.open(campfireStream)
	s.say("1", "1", "by a webhook")
	tell(t, app, "PUBLISH", "chat:1", `{"id":2,"body":"by a publish"}`)
	tell(t, app, "XADD", "rows", "*", "payload", `{"room":"1","id":3,"body":"by a stream"}`)
	got := strings.Join(st.until("by a webhook"), "")
	for _, way := range []string{"by a publish", "by a stream"} {
		if !strings.Contains(got, way) {
			got += strings.Join(st.until(way), "")
		}
	}
	if denied := redis.CLI("ACL", "LOG"); denied != "" {
		t.Errorf("denied: %s", denied)
	}
	redis.Restart() // it knows no users any more
	s.awaitHealth(http.StatusServiceUnavailable)
	s.tryToSay("1", "4", "nowhere")
	if strings.Contains(s.errOut.tail(1<<20), secret) {
		t.Error("a log holds a password")
	}
}
