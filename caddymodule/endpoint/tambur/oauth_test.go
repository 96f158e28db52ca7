package tambur

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// theApp is the app of the public clients' test suites.
func theApp() *application {
	return &application{id: "ws-bot-1", key: "30af96de47e3c58329045ff136a4a3ea", secrets: []string{"another one", "wsbot"}, rules: &rules{template: "{stream}", clock: 5 * time.Minute}}
}

// publisherOf signs as one of the public clients does.
type publisherOf struct {
	escape   escaping
	address  string // that is signed
	body     func(map[string]string) string
	rawNonce bool
}

var now = time.Unix(1354000000, 0)

func (p publisherOf) request(secret, message string) *signed {
	f := map[string]string{
		"api_version": "1.0", "message": message, "oauth_consumer_key": "30af96de47e3c58329045ff136a4a3ea", "oauth_nonce": "n0nce",
		"oauth_signature_method": "HMAC-SHA1", "oauth_timestamp": "1354000010", "oauth_version": "1.0",
	}
	if p.rawNonce {
		f["oauth_nonce"] = "\xff\x00\x80ab"
	}
	base := append(p.escape([]byte("POST&"), p.address), '&')
	base = p.escape(base, fields(f).normalized(p.escape))
	h := hmac.New(sha1.New, append(p.escape(nil, secret), '&'))
	h.Write(base)
	f["oauth_signature"] = base64.StdEncoding.EncodeToString(h.Sum(nil))
	return &signed{scheme: "http", host: "chat.example.com:8080", path: "/app/ws-bot-1/stream/auth:my%20stream", paths: []string{"/app/ws-bot-1/stream/auth:my stream"}, body: p.body(f)}
}

// formBody is a body as forms have it: a space is a plus.
func formBody(f map[string]string) string {
	v := url.Values{}
	for name, text := range f {
		v.Set(name, text)
	}
	return v.Encode()
}

// escapedBody is a body with percent signs only.
func escapedBody(escape escaping) func(map[string]string) string {
	return func(f map[string]string) string {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(f)) {
			pairs = append(pairs, name+"="+string(escape(nil, f[name])))
		}
		return strings.Join(pairs, "&")
	}
}

// rawBody is that of JavaScript's publisher: only the signature is escaped.
func rawBody(f map[string]string) string {
	pairs := []string{"oauth_signature=" + string(escape(nil, f["oauth_signature"]))}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if name != "oauth_signature" {
			pairs = append(pairs, name+"="+f[name])
		}
	}
	return strings.Join(pairs, "&")
}

const signedPath = "chat.example.com/app/ws-bot-1/stream/auth:my"

var publishers = map[string]publisherOf{
	"Python":                  {escape: escape, address: "http://chat.example.com:8080/app/ws-bot-1/stream/auth:my%20stream", body: formBody},
	"PHP over https":          {escape: escape, address: "https://" + signedPath + "%20stream", body: escapedBody(escape), rawNonce: true},
	"Ruby":                    {escape: escapeRuby, address: "http://" + signedPath + "%20stream", body: escapedBody(escapeRuby)},
	"Ruby that posts a form":  {escape: escapeRuby, address: "http://" + signedPath + "%20stream", body: formBody},
	"JavaScript":              {escape: escape, address: "http://chat.example.com:8080/app/ws-bot-1/stream/auth:my stream", body: rawBody},
	"JavaScript behind a TLS": {escape: escape, address: "https://chat.example.com:8080/app/ws-bot-1/stream/auth:my stream", body: rawBody},
}

var said = []string{
	"some message", "", "a+b", "a+b c", "1 & 2 = 3", "50%", "100%25", `{"a":1}`, "ä€😀", "it's (really)! *", "message=other&oauth_nonce", "a\nb", "&&=%+", "x&y=z",
}

func TestPublishersOfAllKinds(t *testing.T) {
	for name, p := range publishers {
		for _, message := range said {
			f, re := theApp().check(p.request("wsbot", message), now)
			if re != nil || f["message"] != message {
				t.Errorf("%s, %q: %q, %v", name, message, f["message"], re)
			}
		}
	}
}

// The vector that RFC 5849 has of its own encoding, and the signature of OAuth Core 1.0a
// appendix A, which all libraries are tested with.
func TestSignatureOfTheSpecification(t *testing.T) {
	f := fields{
		"oauth_consumer_key": "dpf43f3p2l4k3l03", "oauth_token": "nnch734d00sl2jdk", "oauth_signature_method": "HMAC-SHA1",
		"oauth_timestamp": "1191242096", "oauth_nonce": "kllo9940pd9333jh", "oauth_version": "1.0", "file": "vacation.jpg", "size": "original",
	}
	const want = "file=vacation.jpg&oauth_consumer_key=dpf43f3p2l4k3l03&oauth_nonce=kllo9940pd9333jh&oauth_signature_method=HMAC-SHA1&oauth_timestamp=1191242096&oauth_token=nnch734d00sl2jdk&oauth_version=1.0&size=original"
	if got := f.normalized(escape); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := string(escape(nil, "Ladies + Gentlemen, ☃~*'()")); got != "Ladies%20%2B%20Gentlemen%2C%20%E2%98%83~%2A%27%28%29" {
		t.Error(got)
	}
}

func TestWhatIsNotPublished(t *testing.T) {
	good := publishers["Python"]
	change := func(f func(*signed)) *signed {
		s := good.request("wsbot", "hello")
		f(s)
		return s
	}
	replace := func(old, with string) *signed {
		return change(func(s *signed) {
			if !strings.Contains(s.body, old) {
				t.Fatalf("no %s in %s", old, s.body)
			}
			s.body = strings.Replace(s.body, old, with, 1)
		})
	}
	for name, test := range map[string]struct {
		s    *signed
		at   time.Time
		want *refusal
	}{
		"another secret":    {good.request("other", "hello"), now, refusedSignature},
		"another message":   {replace("message=hello", "message=hullo"), now, refusedSignature},
		"another key":       {replace("30af96de", "40af96de"), now, refusedKey},
		"another stream":    {change(func(s *signed) { s.path, s.paths = "/app/ws-bot-1/stream/other", nil }), now, refusedSignature},
		"another host":      {change(func(s *signed) { s.host = "evil.example" }), now, refusedSignature},
		"no message":        {replace("message=hello&", ""), now, refusedParameter},
		"a message twice":   {replace("message=hello", "message=hello&message=hello"), now, refusedParameter},
		"nothing":           {change(func(s *signed) { s.body = "" }), now, refusedParameter},
		"another method":    {replace("HMAC-SHA1", "PLAINTEXT"), now, refusedSignature},
		"no signature":      {change(func(s *signed) { s.body = strings.Replace(s.body, "oauth_signature=", "x=", 1) }), now, refusedSignature},
		"too early":         {good.request("wsbot", "hello"), now.Add(-10 * time.Minute), refusedTime},
		"too late":          {good.request("wsbot", "hello"), now.Add(10 * time.Minute), refusedTime},
		"a message no text": {publishers["PHP over https"].request("wsbot", "\xff"), now, refusedText},
	} {
		if _, re := theApp().check(test.s, test.at); re != test.want {
			t.Errorf("%s: %v, want %v", name, re, test.want)
		}
	}
	any := theApp()
	any.clock = 0
	if _, re := any.check(good.request("wsbot", "hello"), now.Add(1000*time.Hour)); re != nil {
		t.Errorf("with any clock: %v", re)
	}
}

// A body of nothing but separators costs no more than any other.
func TestBodyOfSeparators(t *testing.T) {
	cost := func(body string) float64 {
		return testing.AllocsPerRun(1, func() {
			if _, ok := (&signed{scheme: "http", host: "h", path: "/p", body: body}).verify([]string{"s"}); ok {
				t.Error("verified")
			}
		})
	}
	head := "oauth_signature_method=HMAC-SHA1&oauth_signature=" + strings.Repeat("A", 27) + "%3D&message="
	if plain, many := cost(head+strings.Repeat("x", 1<<16)), cost(head+strings.Repeat("&", 1<<16)); many > 4*plain+100 {
		t.Errorf("%.0f allocations, of a plain body %.0f", many, plain)
	}
}

// What is read of a body that somebody signed is what they signed, in whichever way it
// was written; of any other, nothing is.
func FuzzBody(f *testing.F) {
	for _, p := range publishers {
		for _, message := range said {
			f.Add(p.request("wsbot", message).body)
		}
	}
	f.Add("message=a&message=b")
	f.Add("oauth_signature=%")
	f.Fuzz(func(t *testing.T, body string) {
		s := &signed{scheme: "http", host: "h", path: "/p", body: body}
		if got, ok := s.verify([]string{"a secret that nobody has"}); ok {
			t.Fatalf("%q passes as %q", body, got)
		}
		for _, r := range readings(body) {
			size := 0
			for name, text := range r {
				size += len(name) + len(text)
			}
			if size > len(body) {
				t.Fatalf("%d bytes were read of %d", size, len(body))
			}
		}
	})
}

// FuzzMessage signs any message in any client's way.
func FuzzMessage(f *testing.F) {
	names := slices.Sorted(maps.Keys(publishers))
	for i := range names {
		for _, message := range said {
			f.Add(i, message)
		}
	}
	f.Fuzz(func(t *testing.T, i int, message string) {
		p := publishers[names[(i%len(names)+len(names))%len(names)]]
		got, ok := p.request("wsbot", message).verify([]string{"wsbot"})
		if !ok || got["message"] != message {
			raw := p.address == publishers["JavaScript"].address || p.address == publishers["JavaScript behind a TLS"].address
			if !ok && raw && slices.ContainsFunc(known, func(name string) bool { return strings.Contains("&"+message, "&"+name+"=") }) {
				return // nobody could tell where such a message ends
			}
			t.Fatalf("%q: read %q, %v", message, got["message"], ok)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	s := publishers["Python"].request("wsbot", strings.Repeat("x", 200))
	app := theApp()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := s.verify(app.secrets[1:]); !ok {
			b.Fatal("not verified")
		}
	}
}
