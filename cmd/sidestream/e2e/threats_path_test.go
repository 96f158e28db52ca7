package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Every stream, over each version of HTTP and in each format, is of the channel
// that the app was asked about, and of no other.
func TestAskedIsServed(t *testing.T) {
	f := besiege(t, "history {\n store memory\n}", "", "")
	n := 0
	for _, protocol := range protocols {
		for _, form := range []struct{ target, accept string }{
			{"/room/%s/live.json", ""}, {"/room/%s/live.xml", ""}, {"/flows?filter=%s", ""}, {"/flows?filter=%s", "text/event-stream"},
		} {
			for _, name := range []struct{ escaped, channel string }{
				{"b%%C3%%A4r-%d", "bär-%d"}, {"!%%61:b%%3Ac%%20d-%d", "!a:b:c d-%d"},
			} {
				n++
				escaped, channel := fmt.Sprintf(name.escaped, n), fmt.Sprintf(name.channel, n)
				lines := []string{basic(goodToken)}
				if form.accept != "" {
					lines = append(lines, "Accept: "+form.accept)
				}
				before := len(f.b.asked())
				r := f.fetch(t, protocol, "GET", fmt.Sprintf(form.target, escaped), lines...)
				if !r.isStream() {
					t.Errorf("%s: %d %v", r.name, r.status, r.header)
					continue
				}
				if asked := f.b.asked()[before:]; len(asked) != 1 || asked[0].channel != channel || asked[0].token != goodToken {
					t.Errorf("%s: the app was asked %v", r.name, asked)
				}
				f.publish(channel, n, fmt.Sprintf("text-%d", n))
				f.publish(fmt.Sprintf("other-%d", n), n, "of another channel")
				f.publish(channel, n+1000, fmt.Sprintf("end-%d", n))
				r.awaits(t, fmt.Sprintf("end-%d", n))
				if text := r.text(); !strings.Contains(text, fmt.Sprintf("text-%d", n)) || strings.Contains(text, "of another") {
					t.Errorf("%s got %q", r.name, text)
				}
				r.end()
			}
		}
	}
}

// Whatever the request line looks like, mallory hears nothing of "secret", and
// the app is asked about well-formed channels only.
func TestCrookedLines(t *testing.T) {
	f := besiege(t, "history {\n store memory\n}", "", "")
	host := "127.0.0.1:" + f.port
	long := strings.Repeat("a", 300)
	targets := []string{
		"/room/secret/live.json", "/room/open/../secret/live.json", "/room/./secret/live.json", "/room//secret/live.json",
		"/room/open/live.json/../../secret/live.json", "/room/open%2f..%2fsecret/live.json", "/room/open%2F..%2Fsecret/live.json",
		"/room/open%252f..%252fsecret/live.json", "/room/open%5c..%5csecret/live.json", `/room/open\..\secret/live.json`,
		"/room/secret%00/live.json", "/room/secret%00open/live.json", "/room/secret%0a/live.json", "/room/secret%0d%0aX:%20y/live.json",
		"/room/secret;open/live.json", "/room/open;/../secret/live.json", "/room/secret%3bopen/live.json", "/room/secret%3f/live.json",
		"/room/secret%23/live.json", "/room/%73ecret/live.json", "/ROOM/secret/live.json", "/Room/secret/live.JSON",
		"/room/secret/live.json/", "/room/secret/live.json%2f", "/room/secret/live.json%00", "/room/secret/live.json;a=b",
		"/room/secret/live.json.", "/room/secret/live%2ejson", "//room/secret/live.json", "///room/secret/live.json", "/./room/secret/live.json",
		"//evil.test/room/secret/live.json", "/room/%c0%ae%c0%ae/live.json", "/room/%ff/live.json", "/room/%/live.json", "/room/%zz/live.json",
		"/room/secret%20/live.json", "/room/%20secret/live.json", "/room/secret%e2%80%8b/live.json", "/room/ѕecret/live.json",
		"/room/" + long + "/live.json", "/room/user:7/live.json", "/room/user%3A7/live.json", "/room/open,secret/live.json", "/room/*/live.json",
		"/room/secret/live.json?channel=open", "/room/open/live.json?room=secret&channel=secret&id=secret",
		"/flows?filter=secret", "/flows?filter=open&filter=secret", "/flows?filter=open,secret", "/flows?filter=open%2Csecret",
		"/flows?filter=open%252Csecret", "/flows?filter[]=secret", "/flows?filter=open;filter=secret", "/flows?filter=open%26filter=secret",
		"/flows?FILTER=secret", "/flows?filter=../secret", "/flows?filter=open/../secret", "/flows?filter=*", "/flows?filter=**",
		"/flows?filter=open/*", "/flows?filter=user:7", "/flows?filter=user%3A7", "/flows?filter=%75ser:7", "/flows?filter=secret%00",
		"/flows?filter=%0asecret", "/flows?filter=secret%0d%0adata:%20x", "/flows?filter=", "/flows?", "/flows", "/flows?user=1",
		"/flows/secret", "/flows/open/../secret", "/flows/open%2f..%2fsecret", "/flows/secret/?filter=secret", "/flows/?filter=secret",
		"/flows?filter=open#&filter=secret", "/flows?filter=open&user=secret", "/flows?filter=%zz",
		"/flows?filter=" + strings.Repeat("secret,", 500), "/%66lows?filter=secret", "/flows%3ffilter=secret",
	}
	var attacks []*reading
	for _, protocol := range []string{"http/1.1", "h2"} {
		for _, target := range targets {
			for _, accept := range []string{"*/*", "text/event-stream"} {
				if accept != "*/*" && !strings.HasPrefix(target, "/flows") {
					continue
				}
				if protocol == "h2" && (strings.Contains(target, "%/") || strings.Contains(target, "/%zz")) {
					continue // net/http drops the connection, before anybody of ours sees it
				}
				attacks = append(attacks, f.fetch(t, protocol, "GET", target, basic(mallory), "Accept: "+accept))
			}
		}
	}
	// A name that is no path: the authority of another host, a user, no host.
	for _, line := range []string{
		"GET http://evil.test/room/secret/live.json", "GET http://open@" + host + "/room/secret/live.json", "GET http://" + host + "@evil.test/room/secret/live.json",
		"GET https://" + host + "/room/secret/live.json", "GET room/secret/live.json", "GET *", "CONNECT evil.test:443", "CONNECT /room/secret/live.json",
		"OPTIONS *", "GET /room/secret/live.json#/../../open/live.json", "GET @evil.test/room/secret/live.json", "GET :80/room/secret/live.json",
	} {
		r := &reading{name: line, out: newOutput()}
		f.send(t, r, "http/1.1", line+" HTTP/1.1\r\nHost: "+host+"\r\n"+basic(mallory)+"\r\n\r\n")
		t.Cleanup(r.end)
		attacks = append(attacks, r)
	}
	f.sing()
	for _, r := range attacks {
		f.checkAttack(t, r)
		switch {
		case r.isStream() && !strings.Contains(r.name, "open") && !strings.HasSuffix(r.name, "user=1"):
			t.Errorf("%s opens a stream", r.name)
		case r.status == 500 || r.status == 502:
			t.Errorf("%s: %d", r.name, r.status)
		}
	}
	for _, q := range f.b.asked() {
		if !event.ValidChannel(q.channel) || strings.ContainsAny(q.channel, "\x00\r\n") || strings.Contains(q.channel, "..") || strings.HasPrefix(q.channel, "user:") {
			t.Errorf("the app was asked about %q", q.channel)
		}
	}
}

// Only GET opens streams, whatever else claims to be one.
func TestMethods(t *testing.T) {
	f := besiege(t, "history {\n store memory\n}", "", "")
	var attacks []*reading
	for _, protocol := range protocols {
		for _, method := range []string{"HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "X"} {
			for _, target := range []string{"/room/open/live.json", "/room/secret/live.json"} {
				r := f.fetch(t, protocol, method, target, basic(mallory), "X-HTTP-Method-Override: GET", "X-Method-Override: GET", "Content-Length: 0", "Connection: close")
				if text := r.awaitsEnd(t); r.isStream() && method != "HEAD" || strings.Contains(text, "Basic ") {
					t.Errorf("%s: %d %v %q", r.name, r.status, r.header, text)
				}
				if method == "HEAD" && (r.status == 200) != strings.Contains(target, "open") {
					t.Errorf("%s: %d", r.name, r.status)
				}
				attacks = append(attacks, r)
			}
		}
	}
	for _, line := range []string{"X-HTTP-Method-Override: GET", "X-Original-URL: /room/secret/live.json", "X-Rewrite-URL: /room/secret/live.json",
		"X-Forwarded-Uri: /room/secret/live.json", "X-Forwarded-Path: /room/secret/live.json", "X-Forwarded-Prefix: /room/secret"} {
		attacks = append(attacks, f.fetch(t, "http/1.1", "GET", "/", basic(mallory), line), f.fetch(t, "http/1.1", "GET", "/room/open/live.json", basic(mallory), line))
	}
	f.sing()
	for _, r := range attacks {
		f.checkAttack(t, r)
	}
	f.askedOnly(t, "open", "secret")
}

// Where a request ends is not for the client to choose: what follows a stream's
// request is not answered, and bodies are not read as requests.
func TestSmuggling(t *testing.T) {
	f := besiege(t, "history {\n store memory\n}", "", "")
	host := "Host: 127.0.0.1:" + f.port + "\r\n"
	evil := "GET /room/secret/live.json HTTP/1.1\r\n" + host + basic(goodToken) + "\r\n\r\n"
	evil = strings.ReplaceAll(evil, basic(goodToken), basic(mallory))
	head := "GET /room/open/live.json HTTP/1.1\r\n" + host + basic(mallory) + "\r\n"
	length := fmt.Sprintf("Content-Length: %d\r\n", len(evil))
	var attacks []*reading
	for name, request := range map[string]string{
		"pipelined":                  head + "\r\n" + evil,
		"body":                       head + length + "\r\n" + evil,
		"two lengths":                head + length + "Content-Length: 0\r\n\r\n" + evil,
		"length and chunks":          head + length + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil,
		"chunks and length":          head + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + evil,
		"odd encoding":               head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + evil,
		"encoding twice":             head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + evil,
		"space before the colon":     head + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + evil,
		"folded":                     head + "X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n" + evil,
		"bare CR":                    head + "X-A: b\rTransfer-Encoding: chunked\r\n\r\n" + evil,
		"no host":                    "GET /room/open/live.json HTTP/1.1\r\n" + basic(mallory) + "\r\n\r\n",
		"two hosts":                  head + "Host: evil.test\r\n\r\n",
		"bad host":                   strings.Replace(head, host, "Host: a b\r\n", 1) + "\r\n",
		"HTTP/1.0":                   strings.Replace(head, "HTTP/1.1", "HTTP/1.0", 1) + "\r\n" + evil,
		"HTTP/0.9":                   "GET /room/secret/live.json\r\n\r\n",
		"a refusal, then a request":  strings.Replace(evil, "secret", "shut", 1) + evil,
		"app's own, then a request":  "GET /own HTTP/1.1\r\n" + host + "\r\n" + evil,
		"webhook's body, then a GET": "POST /hooks/own HTTP/1.1\r\n" + host + length + "\r\n" + evil + evil,
	} {
		r := &reading{name: name, out: newOutput()}
		f.send(t, r, "http/1.1", request)
		t.Cleanup(r.end)
		attacks = append(attacks, r)
	}
	f.sing()
	f.publish("open", 1, "for all")
	want400 := []string{"body", "two lengths", "odd encoding", "encoding twice", "space before the colon", "bare CR", "no host", "two hosts", "bad host"}
	for _, r := range attacks {
		f.checkAttack(t, r)
		if slices.Contains(want400, r.name) && r.status != 400 && r.status != 501 {
			t.Errorf("%s: %d", r.name, r.status)
		}
		if n := strings.Count(r.text(), "HTTP/1.1 200"); n > 0 {
			t.Errorf("%s: %d more streams: %q", r.name, n, r.text())
		}
	}
	f.askedOnly(t, "open", "secret", "shut")
}

// A cursor opens nothing: whatever it is, it brings nothing of another room, no
// crash, and where it is not known, a gap.
func TestStrangeCursors(t *testing.T) {
	f := besiege(t, "history {\n store memory\n}", "", "")
	f.publish("open", 1, "known")
	witness := f.fetch(t, "http/1.1", "GET", "/flows?filter=secret&catchup=1h", basic(goodToken), "Accept: text/event-stream")
	witness.awaits(t, "data:")
	_, after, _ := strings.Cut(witness.text(), "id: ")
	secret, _, _ := strings.Cut(after, "\n")
	if secret = strings.TrimSpace(secret); strings.Count(secret, ".") != 2 {
		t.Fatalf("the cursor is %q", secret)
	}
	epoch, rest, _ := strings.Cut(secret, ".")
	_, tag, _ := strings.Cut(rest, ".")
	var attacks []*reading
	for _, protocol := range []string{"http/1.1", "h2"} {
		for _, cursor := range []string{
			secret, epoch + ".0." + tag, epoch + ".1." + tag, epoch + ".99999999." + tag, epoch + ".-1." + tag, epoch + ".18446744073709551616." + tag,
			epoch + ".1.", epoch + "..", "..", ".", "0", "-1", "0000000000000000.1." + tag, strings.Repeat("9", 64), strings.Repeat("x", 4000),
			"\x80\xff", "../../secret", "${jndi:x}", "' or 1=1", "secret", "1000000",
		} {
			attacks = append(attacks,
				f.fetch(t, protocol, "GET", "/flows?filter=open", basic(mallory), "Accept: text/event-stream", "Last-Event-ID: "+cursor))
		}
		for _, query := range []string{"lastEventId=" + secret, "cursor=" + secret, "since_message_id=1000001", "since_message_id=secret", "catchup=744h",
			"catchup=-1h", "catchup=999999h", "catchup=x", "on_gap=oldest&cursor=" + secret, "cursor=" + strings.Repeat("%00", 100)} {
			attacks = append(attacks, f.fetch(t, protocol, "GET", "/flows?filter=open&"+query, basic(mallory)))
		}
		attacks = append(attacks, f.fetch(t, protocol, "GET", "/flows?filter=secret", basic(mallory), "Last-Event-ID: "+secret))
	}
	huge := &reading{name: "a huge cursor", out: newOutput()}
	f.send(t, huge, "http/1.1", "GET /flows?filter=open HTTP/1.1\r\nHost: x\r\n"+basic(mallory)+"\r\nLast-Event-ID: "+strings.Repeat("1", 1<<20+9000)+"\r\n\r\n")
	t.Cleanup(huge.end)
	attacks = append(attacks, huge)
	f.sing()
	f.publish("open", 2, "live")
	for _, r := range attacks {
		if r.isStream() {
			r.awaits(t, "live")
		}
		f.checkAttack(t, r)
		if strings.Contains(r.text(), `"secret"`) || strings.Contains(r.text(), "1000001") {
			t.Errorf("%s tells of the other room: %q", r.name, r.text())
		}
		if r.status >= 500 {
			t.Errorf("%s: %d", r.name, r.status)
		}
	}
}
