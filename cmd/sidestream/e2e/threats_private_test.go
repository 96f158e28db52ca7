package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// What is addressed to a user reaches that user's streams that ask for it, in
// every format that has them, and nobody else's in any.
func TestPrivateMessages(t *testing.T) {
	f := besiege(t, "history {\n store memory\n}", "", "")
	f.reconfigure(strings.Replace(f.b.directives("history {\n store memory\n}"), "map body    {json.text}", "map body    {json.text}\n map to {json.to}", 1))
	f.b.decide("alice", "", verdict{status: 200, body: `{"user_id":"a1"}`})
	f.b.decide("bob", "", verdict{status: 200, body: `{"user_id":"b2"}`})
	f.b.decide("nobody", "", verdict{status: 200, body: `{"user_id":null,"x":1}`})
	f.b.decide("wild", "", verdict{status: 200, body: `{"user_id":"*"}`})
	f.b.decide("slash", "", verdict{status: 200, body: `{"user_id":"a1/../b2"}`})
	var hers, others []*reading
	for _, protocol := range protocols {
		for _, accept := range []string{"*/*", "text/event-stream"} {
			open := func(target, token string) *reading {
				return f.fetch(t, protocol, "GET", target, basic(token), "Accept: "+accept)
			}
			hers = append(hers, open("/flows?filter=open&user=1", "alice"))
			others = append(others, open("/flows?filter=open&user=1", "bob"), open("/flows?filter=open", "alice"),
				open("/flows?filter=open&user=0", "alice"), open("/flows?filter=open&user=1", "wild"), open("/flows?filter=open&user=1", "slash"),
				open("/flows?filter=open&user=1", "nobody"), open("/flows?filter=user:a1", "bob"), open("/flows?filter=user%3Aa1&user=1", "bob"),
				open("/flows?filter=open,user:a1", "bob"), open("/flows/user:a1/x", "bob"), open("/flows?user=a1&filter=open", "bob"))
		}
		for _, name := range []string{"open", "user:a1", "user%3Aa1", "a1"} {
			for _, ending := range []string{"json", "xml"} {
				others = append(others, f.fetch(t, protocol, "GET", "/room/"+name+"/live."+ending, basic("bob")))
			}
		}
	}
	for i, to := range []string{`"a1"`, `["a1"]`} {
		body := fmt.Sprintf(`{"channel":"open","id":%d,"user":7,"sent_at":"2026-03-04T05:06:07Z","text":"whisper-%d","to":%s}`, 10+i, i, to)
		if status, answer := f.post("/hooks/own", []byte(body)); status/100 != 2 {
			t.Fatalf("%d %s", status, answer)
		}
	}
	f.publish("open", 99, "for all of open")
	for _, r := range hers {
		if !r.isStream() {
			t.Fatalf("%s: %d %q", r.name, r.status, r.text())
		}
		r.awaits(t, "for all of open")
		if text := r.text(); !strings.Contains(text, "whisper-0") || !strings.Contains(text, "whisper-1") {
			t.Errorf("%s lacks a whisper: %q", r.name, text)
		}
	}
	f.sing()
	streams := 0
	for _, r := range others {
		if strings.Contains(r.text(), "whisper") {
			t.Errorf("%s overhears: %q", r.name, r.text())
		}
		if r.isStream() && strings.Contains(r.name, "open") {
			streams++
			r.awaits(t, "for all of open")
		}
	}
	if streams == 0 {
		t.Error("no other stream was opened at all")
	}
	for _, q := range f.b.asked() {
		if strings.HasPrefix(q.channel, "user:") {
			t.Errorf("the app was asked about %q", q.channel)
		}
	}
}

// What a client claims to be reaches the app as nothing; what it may claim
// between two hops changes nothing either.
func TestSpoofedHeaders(t *testing.T) {
	f := besiege(t, "history {\n store memory\n}", "", "")
	claims := []string{
		"X-Forwarded-User: admin", "X-Forwarded-For: 10.1.2.3", "X-Real-IP: 10.1.2.3", "Forwarded: for=10.1.2.3", "X-User: admin", "X_User: admin",
		"X-User-Id: 1", "Remote-User: admin", "X-Forwarded-Host: evil.test", "X-Forwarded-Proto: gopher", "X-Forwarded-Uri: /evil", "X-Forwarded-Method: POST",
		"X-Original-URL: /evil", "X-Auth-Request-User: admin", "Cookie: session=stale", "User-Agent: MSIE 5", "Range: bytes=0-1", "If-None-Match: x",
		"Accept-Encoding: evil", "Origin: http://127.0.0.1:" + f.port,
	}
	known := []string{"Accept", "Accept-Encoding", "Authorization", "Sidestream-Check", "User-Agent", "Via", "X-Forwarded-For", "X-Forwarded-Host",
		"X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Uri"}
	for _, protocol := range protocols {
		f.fetch(t, protocol, "GET", "/room/open/live.json", append(claims, basic(mallory))...)
		for _, hop := range []string{"Authorization", "Cookie, X-Forwarded-Uri, Authorization, Host", "close, X-Forwarded-For", "Upgrade"} {
			if protocol == "h2" {
				break // has no such header
			}
			r := f.fetch(t, protocol, "GET", "/room/secret/live.json", append(claims, basic(mallory), "Connection: "+hop)...)
			if r.status != 403 {
				t.Errorf("Connection: %s changes the verdict to %d", hop, r.status)
			}
		}
	}
	for _, header := range f.heads.all() {
		for name, values := range header {
			text := strings.Join(values, ", ")
			if !slices.Contains(known, name) || strings.Contains(text, "admin") || strings.Contains(text, "evil") || strings.Contains(text, "10.1.2.3") ||
				strings.Contains(text, "gopher") || strings.Contains(text, "MSIE") {
				t.Errorf("the app is told %s: %s", name, text)
			}
		}
	}
	f.sing()
	f.askedOnly(t, "open", "secret")
}

// One verdict is never taken for another one: not of another token, not by a
// separator, not when the first who asked has gone, not of an error.
func TestVerdictsAreNotConfused(t *testing.T) {
	f := besiege(t, "history {\n store memory\n}", "", "")
	alike := []string{"good-token ", "good-token\x01", "Good-Token", "good-token\tx", " good-token", "good-tokenx", "good-toke", "good-token,x", "good-token;secret"}
	for range 2 { // the second time from memory, if from anywhere
		if r := f.fetch(t, "http/1.1", "GET", "/room/secret/live.json", basic(goodToken)); !r.isStream() {
			t.Fatalf("%d", r.status)
		}
		for _, token := range alike {
			for _, protocol := range protocols {
				if r := f.fetch(t, protocol, "GET", "/room/secret/live.json", basic(token)); r.isStream() {
					t.Errorf("%q is taken for another token", token)
				}
			}
		}
	}
	for _, lines := range [][]string{
		{basic(mallory), basic(goodToken)}, {basic(goodToken), basic(mallory)}, {"Authorization: Bearer " + mallory, "authorization: Bearer " + goodToken},
	} {
		if r := f.fetch(t, "http/1.1", "GET", "/room/open/live.json", lines...); r.status != 400 {
			t.Errorf("two credentials: %d", r.status)
		}
	}
	for _, query := range []string{"access_token=" + mallory + "&access_token=" + mallory, "access_token=" + mallory + "&access_token=" + goodToken} {
		if r := f.fetch(t, "http/1.1", "GET", "/flows?filter=open&"+query); r.status != 400 {
			t.Errorf("two credentials in the query: %d", r.status)
		}
	}
	if r := f.fetch(t, "http/1.1", "GET", "/flows?filter=open&access_token="+mallory, basic(mallory)); r.status != 400 {
		t.Errorf("one in the query, one in the header: %d", r.status)
	}

	// The first one's leaving does not refuse the second.
	answer := make(chan struct{})
	f.b.decide("slow", "", verdict{status: 200, body: `{"user_id":"5"}`, until: answer})
	before := len(f.b.asked())
	conn := f.dial(t, "http/1.1")
	fmt.Fprintf(conn, "GET /room/late/live.json HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n%s\r\n\r\n", f.port, basic("slow"))
	eventually(t, "the app is asked", func() bool { return len(f.b.asked()) == before+1 })
	second := make(chan *reading, 1)
	go func() {
		second <- f.fetch(t, "http/1.1", "GET", "/room/late/live.json", basic("slow"))
	}()
	conn.Close()
	close(answer)
	if r := <-second; !r.isStream() {
		t.Errorf("behind one who left: %d", r.status)
	}

	// Errors are not remembered.
	for name, v := range map[string]verdict{
		"error": {status: http.StatusInternalServerError}, "redirect": {status: 302, header: map[string]string{"Location": "/x"}},
	} {
		f.b.decide(name, "", v)
		if r := f.fetch(t, "http/1.1", "GET", "/room/once/live.json", basic(name)); r.isStream() {
			t.Errorf("%s opens a stream", name)
		}
		f.b.decide(name, "", verdict{})
		eventually(t, "the app is asked again behind an "+name, func() bool {
			r := f.fetch(t, "http/1.1", "GET", "/room/once/live.json", basic(name))
			defer r.end()
			return r.isStream()
		})
	}
}

// Which rooms exist is not for those to learn who may not see them: with
// `hide`, the answers are the same.
func TestHiddenRooms(t *testing.T) {
	f := besiege(t, "history {\n store memory\n}", "", "")
	f.reconfigure(strings.Replace(f.b.directives("history {\n store memory\n}"), "user  json user_id", "user  json user_id\n hide", 1))
	f.b.decide(mallory, "absent", verdict{status: 404})
	for _, protocol := range protocols {
		for _, target := range []string{"/room/%s/live.json", "/room/%s/live.xml", "/flows?filter=%s", "/flows?filter=%s&accept=text/event-stream"} {
			there := f.fetch(t, protocol, "GET", fmt.Sprintf(target, "secret"), basic(mallory), "Connection: close")
			absent := f.fetch(t, protocol, "GET", fmt.Sprintf(target, "absent"), basic(mallory), "Connection: close")
			there.header.Del("Date")
			absent.header.Del("Date")
			if there.status != 404 || absent.status != 404 || there.awaitsEnd(t) != absent.awaitsEnd(t) || fmt.Sprint(there.header) != fmt.Sprint(absent.header) {
				t.Errorf("%s: %d %v %q, absent: %d %v %q", there.name, there.status, there.header, there.text(), absent.status, absent.header, absent.text())
			}
		}
	}
}
