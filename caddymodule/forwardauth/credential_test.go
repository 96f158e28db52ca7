package forwardauth

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func basic(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }

func TestReadCredential(t *testing.T) {
	for _, c := range []struct {
		name, query string
		header      []string
		want        Credential
		fails       bool
	}{
		{name: "none"},
		{name: "token:X", header: []string{basic("tok:X")}, want: Credential{token: "tok", password: "X", authorization: basic("tok:X")}},
		{name: "token:", header: []string{basic("tok:")}, want: Credential{token: "tok", authorization: basic("tok:")}},
		{name: "no colon", header: []string{basic("tok")}, want: Credential{token: "tok", authorization: basic("tok:")}},
		{name: "lower case", header: []string{"basic " + basic("tok:x")[6:]}, want: Credential{token: "tok", password: "x", authorization: basic("tok:x")}},
		{name: "colon in the password", header: []string{basic("a:b:c")}, want: Credential{token: "a", password: "b:c", authorization: basic("a:b:c")}},
		{name: "no padding", header: []string{strings.TrimRight(basic("tok:"), "=")}, want: Credential{token: "tok", authorization: basic("tok:")}},
		{name: "empty user", header: []string{basic(":x")}},
		{name: "bearer", header: []string{"BEARER  tok"}, want: Credential{token: "tok", authorization: "Bearer tok"}},
		{name: "empty bearer", header: []string{"Bearer "}},
		{name: "empty header", header: []string{""}},
		{name: "other scheme", header: []string{"Digest x=y"}},
		{name: "query", query: "access_token=tok", want: Credential{token: "tok", authorization: "Bearer tok"}},
		{name: "empty query", query: "access_token="},
		{name: "bad base64", header: []string{"Basic !!"}, fails: true},
		{name: "line break inside", header: []string{basic("a\r\nX: y:z")}, fails: true},
		{name: "NUL inside", header: []string{basic("a\x00:z")}, fails: true},
		{name: "two bearers in one", header: []string{"Bearer a, Bearer b"}, fails: true},
		{name: "two headers", header: []string{"Bearer a", "Bearer a"}, fails: true},
		{name: "two queries", query: "access_token=a&access_token=a", fails: true},
		{name: "two queries, one escaped", query: "access_token=a&acces%73_token=b", fails: true},
		{name: "header and query", header: []string{"Bearer a"}, query: "access_token=a", fails: true},
		{name: "line break in the query", query: "access_token=a%0d%0ab", fails: true},
		{name: "semicolon in the query", query: "a=1;access_token=b", fails: true},
		{name: "too long", header: []string{"Bearer " + strings.Repeat("a", maxCredential+1)}, fails: true},
	} {
		r := stranger(t, "/flows?"+c.query)
		for _, h := range c.header {
			r.Header.Add("Authorization", h)
		}
		got, err := readCredential(r, nil)
		if (err != nil) != c.fails || got != c.want {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "tok") {
			t.Errorf("%s: the error %q shows the secret", c.name, err)
		}
	}
}

func TestCookies(t *testing.T) {
	names := []string{"session", "id"}
	for _, c := range []struct {
		cookie, authorization string
		want                  string
		fails                 bool
	}{
		{cookie: "session=a; other=b", want: "session=a"},
		{cookie: "id=1; x=2; session=a", want: "session=a; id=1"},
		{cookie: `session="q"`, want: `session="q"`},
		{cookie: "other=b"},
		{cookie: "session=a; session=b", fails: true},
		{cookie: "session=a", authorization: "Bearer tok"}, // never beside a token
	} {
		r := stranger(t, "/flows")
		r.Header.Set("Cookie", c.cookie)
		if c.authorization != "" {
			r.Header.Set("Authorization", c.authorization)
		}
		got, err := readCredential(r, names)
		if (err != nil) != c.fails || got.cookie != c.want || got.Ambient() != (c.want != "") {
			t.Errorf("%s: %+v, %v", c.cookie, got, err)
		}
	}
}

// Who is the same for all that a client can vary for free, and different for
// everything else.
func TestWhoCountsClientsAndNotSpellings(t *testing.T) {
	read := func(header string) Credential {
		c, err := readAuthorization(header)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one := read(basic("token-1:X"))
	for _, header := range []string{basic("token-1"), basic("token-1:"), basic("token-1:another"), "Bearer token-1", "bearer  token-1"} {
		if c := read(header); c.Who() != one.Who() {
			t.Errorf("%q is somebody else", header)
		}
	}
	seen := map[string]int{one.Who(): -1}
	for i, c := range []Credential{
		{token: "token-2"}, {token: "ab"}, {token: "b"}, {token: "a\x00b"}, {cookie: "ab"}, {token: "a", cookie: "b"}, {},
	} {
		who := c.Who()
		if j, ok := seen[who]; ok {
			t.Errorf("%d and %d are the same", i, j)
		}
		seen[who] = i
		if len(c.token) > 1 && strings.Contains(who, c.token) {
			t.Errorf("%d shows the token", i)
		}
		if (who == "") != c.IsZero() {
			t.Errorf("%d: %q", i, who)
		}
	}
}

func TestMaskedQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"": "", "a=1&b": "a=1&b", "access_token=x": "access_token=REDACTED", "a=1&access_token=x&b=2": "a=1&access_token=REDACTED&b=2",
		"acces%73_token=x": "acces%73_token=REDACTED", "ACCESS_TOKEN=x": "ACCESS_TOKEN=REDACTED", "%zz&access_token=x": "%zz&access_token=REDACTED",
		"access_token%zz=x": "access_token%zz=x", "access_token": "access_token=REDACTED", "access_token=x&access_token=y": "access_token=REDACTED&access_token=REDACTED",
	} {
		if got := MaskedQuery(raw); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

func FuzzReadAuthorization(f *testing.F) {
	for _, seed := range []string{basic("tok:X"), "Bearer x", "basic dG9r", "Basic ", "bearer a,b", "Digest x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		c, err := readAuthorization(header)
		if err != nil {
			if c != (Credential{}) {
				t.Errorf("%q: %v with %+v", header, err, c)
			}
			return
		}
		for _, text := range []string{c.token, c.password, c.authorization} {
			if !isToken(text) {
				t.Errorf("%q gives %q", header, text)
			}
		}
		if (c.token == "") != (c.authorization == "") {
			t.Errorf("%q: token and header disagree", header)
		}
	})
}

// stranger makes a request as a server gets it.
func stranger(t *testing.T, target string) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Request{Method: http.MethodGet, URL: u, RequestURI: target, Host: "chat.test", Header: http.Header{}}
}
