package forwardauth

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/access"
)

func basic(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }

func TestReadCredential(t *testing.T) {
	a, err := New(Config{URI: "/{channel}", Credentials: []Place{{"header", "x-api-key"}, {"query", "api_key"}}}, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, query string
		header, key []string
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
		{name: "scheme of the app", header: []string{" Token  abc "}, want: Credential{token: "abc", authorization: "Token  abc"}},
		{name: "scheme with parameters", header: []string{`Token token="abc", nonce="d"`}, want: Credential{authorization: `Token token="abc", nonce="d"`}},
		{name: "no scheme", header: []string{"abc"}, want: Credential{token: "abc", authorization: "abc"}},
		{name: "line break in a scheme", header: []string{"Token a\r\nX: y"}, fails: true},
		{name: "scheme and query", header: []string{"Token a"}, query: "access_token=a", fails: true},
		{name: "scheme twice", header: []string{"Token a", "Token b"}, fails: true},
		{name: "long scheme", header: []string{"Token " + strings.Repeat("a,", maxCredential)}, fails: true},
		{name: "header of its own", header: []string{}, key: []string{"k3y"}, want: Credential{token: "k3y", place: Place{"header", "x-api-key"}}},
		{name: "empty header of its own", key: []string{""}},
		{name: "header of its own twice", key: []string{"a", "a"}, fails: true},
		{name: "header of its own and Authorization", header: []string{"Bearer a"}, key: []string{"a"}, fails: true},
		{name: "header of its own and query", query: "api_key=a", key: []string{"a"}, fails: true},
		{name: "line break in a header of its own", key: []string{"a\nb"}, fails: true},
		{name: "query of its own", query: "api_key=k3y", want: Credential{token: "k3y", place: Place{"query", "api_key"}}},
		{name: "query of its own twice", query: "api_key=a&api%5fkey=b", fails: true},
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
		if c.key != nil {
			r.Header["X-Api-Key"] = c.key
		}
		got, err := a.Credential(r)
		if (err != nil) != c.fails || plain(got) != c.want {
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
		a := &Auth{config: Config{Cookies: names}}
		got, err := a.Credential(r)
		if (err != nil) != c.fails || got.cookie != c.want || got.Ambient() != (c.want != "") {
			t.Errorf("%s: %+v, %v", c.cookie, got, err)
		}
	}
}

// A limit by client counts who the client is, however it spells its credential.
func TestClientsAreCountedByWhoTheyAre(t *testing.T) {
	a := &Auth{config: Config{Cookies: []string{"session"}, Credentials: []Place{{"header", "X-Api-Key"}}}}
	who := func(lines ...string) string {
		r := stranger(t, "/flows")
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ": ")
			if name == "Query" {
				r.URL.RawQuery = value
				continue
			}
			if name == "Host" {
				r.Host = value
				continue
			}
			r.Header.Add(name, value)
		}
		c, err := a.Credential(r)
		if err != nil {
			t.Fatalf("%q: %v", lines, err)
		}
		if w := c.Who(); strings.Contains(w, "tok") {
			t.Errorf("%q: the digest shows the token", lines)
		}
		return c.Who()
	}
	seen := map[string]int{}
	for i, same := range [][][]string{
		{
			{"Authorization: " + basic("tok:1")}, {"Authorization: " + basic("tok:2")}, {"Authorization: " + basic("tok")},
			{"Authorization: Bearer tok"}, {"Authorization: bEARER  tok"}, {"Query: access_token=tok"}, {"Query: access_token=tok&x=1"},
			{"Authorization: Token tok"}, {"Authorization: tOKEN tok"}, {"X-Api-Key: tok"},
			{"Authorization: Bearer tok", "Host: A.example"}, {"Authorization: Bearer tok", "Host: a.example.:1"},
		},
		{{"Authorization: Bearer tok2"}, {"Authorization: " + basic("tok2:tok")}},
		{{`Authorization: Digest username="a", nonce="b"`}, {`Authorization: DIGEST username="a", nonce="b"`}},
		{{"Cookie: session=tok"}, {`Cookie: session="tok"`}, {"Cookie: session=tok; other=1"}, {"Cookie: x=y; session=tok"}},
		{{"Host: a.example"}, {"Host: b.example"}},
	} {
		for _, lines := range same {
			w := who(lines...)
			if w != who(same[0]...) {
				t.Errorf("%q counts apart from %q", lines, same[0])
			}
			if (w == "") != (i == 4) {
				t.Errorf("%q is somebody: %t", lines, w != "")
			}
			if j, ok := seen[w]; ok && j != i {
				t.Errorf("%q counts as another client", lines)
			}
			seen[w] = i
		}
	}
}

// A credential is passed on as it came, or translated; never both, and what is
// shown of it has no secret.
func TestCredentialsArePassedOn(t *testing.T) {
	places := []Place{{"header", "X-Api-Key"}, {"query", "K"}}
	asItCame := Config{URI: "/r/{channel}?x=1", Credentials: places}
	translated := Config{URI: "/r/{channel}", Credentials: places, Headers: []Field{{"Authorization", "Bearer {token}"}}}
	for _, c := range []struct {
		name, query string
		header      [2]string
		config      Config
		uri         string
		want        [2]string
		found       string
	}{
		{"scheme", "", [2]string{"Authorization", "Token s3cr3t"}, asItCame, "/r/1?x=1", [2]string{"Authorization", "Token s3cr3t"}, "scheme Token, as it came"},
		{"scheme, translated", "", [2]string{"Authorization", "Token s3cr3t"}, translated, "/r/1", [2]string{"Authorization", "Bearer s3cr3t"}, "scheme Token"},
		{"parameters", "", [2]string{"Authorization", `Digest response="s3cr3t"`}, asItCame, "/r/1?x=1", [2]string{"Authorization", `Digest response="s3cr3t"`}, "scheme Digest"},
		{"parameters, translated", "", [2]string{"Authorization", `Digest response="s3cr3t"`}, translated, "/r/1", [2]string{"Authorization", ""}, "no token in it"},
		{"no scheme", "", [2]string{"Authorization", "s3cr3t"}, asItCame, "/r/1?x=1", [2]string{"Authorization", "s3cr3t"}, "without a scheme"},
		{"header", "", [2]string{"X-Api-Key", "s3cr3t"}, asItCame, "/r/1?x=1", [2]string{"X-Api-Key", "s3cr3t"}, "in the header X-Api-Key"},
		{"header, translated", "", [2]string{"X-Api-Key", "s3cr3t"}, translated, "/r/1", [2]string{"Authorization", "Bearer s3cr3t"}, "in the header X-Api-Key"},
		{"query", "K=s3cr3t%26", [2]string{"X", "y"}, asItCame, "/r/1?x=1&K=s3cr3t%26", [2]string{"Authorization", ""}, "in the query as K"},
		{"query, translated", "K=s3cr3t", [2]string{"X", "y"}, translated, "/r/1", [2]string{"Authorization", "Bearer s3cr3t"}, "in the query as K"},
	} {
		a, err := New(c.config, "", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := stranger(t, "/flows?"+c.query)
		r.Header.Set(c.header[0], c.header[1])
		found, err := a.Credential(r)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		client := a.Client(r, found)
		asked, _ := a.request("1", false, client)
		uri := asked.uri
		if asked.secret.uri != nil {
			uri = asked.secret.uri.RequestURI()
		}
		if uri != c.uri || asked.secret.header.Get(c.want[0]) != c.want[1] {
			t.Errorf("%s: asks %s with %v", c.name, uri, asked.secret.header)
		}
		if !strings.Contains(found.String(), c.found) {
			t.Errorf("%s: it is said to be %s", c.name, found)
		}
		for _, shown := range []string{found.String(), asked.uri, client.uri} {
			if strings.Contains(shown, "s3cr3t") {
				t.Errorf("%s: %q shows the secret", c.name, shown)
			}
		}
	}
	for _, p := range []Place{{"header", ""}, {"header", "Authorization"}, {"header", "cookie"}, {"header", "connection"}, {"query", "access_token"}, {"form", "x"}, {"query", "a b"}} {
		if _, err := New(Config{URI: "/{channel}", Credentials: []Place{p}}, "", nil, nil); err == nil {
			t.Errorf("%+v was taken", p)
		}
	}
}

func TestMaskedQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"": "", "a=1&b": "a=1&b", "access_token=x": "access_token=REDACTED", "a=1&access_token=x&b=2": "a=1&access_token=REDACTED&b=2",
		"acces%73_token=x": "acces%73_token=REDACTED", "ACCESS_TOKEN=x": "ACCESS_TOKEN=REDACTED", "%zz&access_token=x": "%zz&access_token=REDACTED",
		"access_token%zz=x": "access_token%zz=x", "access_token": "access_token=REDACTED", "access_token=x&access_token=y": "access_token=REDACTED&access_token=REDACTED",
	} {
		if got := new(Mask).Query(raw); got != want {
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
		if c.token != "" && c.authorization == "" {
			t.Errorf("%q: token and header disagree", header)
		}
	})
}

// plain is a credential without what the configuration adds to it.
func plain(c Credential) Credential {
	c.translated, c.keepsPassword = false, false
	return c
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

// What the backend does not see makes no new answer to remember.
func TestOnlyWhatIsSentTellsClientsApart(t *testing.T) {
	for name, x := range map[string]struct {
		headers []Field
		same    bool
	}{
		"as it came":     {nil, false},
		"only the token": {[]Field{{"Authorization", "Bearer {token}"}}, true},
		"both":           {[]Field{{"X-User", "{username}"}, {"X-Key", "{password}"}}, false},
	} {
		a, err := New(Config{URI: "/{channel}", Headers: x.headers}, "", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		gate := access.New(access.Config{}, func(context.Context, access.Question) access.Verdict {
			asked++
			return access.Verdict{Outcome: access.Allowed}
		})
		for _, password := range []string{"1", "2"} {
			r := stranger(t, "/flows")
			r.Header.Set("Authorization", basic("tok:"+password))
			r.Host = password + ".example"
			c, err := a.Credential(r)
			if err != nil {
				t.Fatal(err)
			}
			q := a.MayListen(a.Client(r, c))
			q.Channel = "1"
			gate.Check(t.Context(), q)
		}
		gate.Close()
		if (asked == 1) != x.same {
			t.Errorf("%s: %d questions", name, asked)
		}
	}
}

// What a browser's other cookies hold makes nobody another client.
func TestEachCookieIsAProof(t *testing.T) {
	a, err := New(Config{URI: "/r/{channel}", Cookies: []string{"session", "remember", "theme"}}, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	proofs := func(cookie string) []string {
		r := stranger(t, "/flows")
		r.Header.Set("Cookie", cookie)
		c, err := a.Credential(r)
		if err != nil {
			t.Fatal(err)
		}
		return c.Proofs()
	}
	const session, remember = "session=0123456789abcdef", "remember=fedcba9876543210"
	both := proofs(session + "; " + remember + "; theme=dark")
	if len(both) != 2 || both[0] == both[1] {
		t.Fatalf("%q", both)
	}
	for cookie, want := range map[string]string{
		session + "; theme=light":                        both[0],
		session + "; remember=1":                         both[0],
		"session=xxxxxxxxxxxxxxxxxxxxx; " + remember:     both[1],
		`session="0123456789abcdef"; remember=` + "1234": both[0],
	} {
		if got := proofs(cookie); !slices.Contains(got, want) {
			t.Errorf("%s: is somebody else", cookie)
		}
	}
	if got := proofs(session); got != nil {
		t.Errorf("one cookie has %d proofs beside itself", len(got))
	}
}
