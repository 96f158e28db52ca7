package forwardauth

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// FuzzURI looks for a channel or a token that leads the question elsewhere.
func FuzzURI(f *testing.F) {
	for _, seed := range []string{"/room/{channel}.json", "/a?b={token}&c={flow}", "{", "}", "{}", "/{channel", "/{x}", "/{channel|lower}/{token ?? channel}"} {
		f.Add(seed, "a/b")
	}
	f.Fuzz(func(t *testing.T, text, channel string) {
		parsed, err := readURI(new(vocabulary).questions(), text)
		if err != nil || event.CheckChannel(channel) != nil {
			return
		}
		asked, err := parsed.FillURI(&values{channel: channel, client: &Client{Credential: Credential{token: "t/../?&#", password: "\x00"}}})
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.ParseRequestURI(asked)
		if err == nil && (u.Host != "" || u.Scheme != "" || u.User != nil) {
			t.Errorf("%q leads to %s", text, u)
		}
	})
}

func FuzzMaskedQuery(f *testing.F) {
	for _, seed := range []string{"access_token=s3cr3t", "a=1&acces%73_token=s3cr3t", "%zz&ACCESS_TOKEN=s3cr3t", "access_token"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		shown := new(Mask).Query(raw)
		values, err := url.ParseQuery(shown)
		if err != nil {
			return
		}
		for _, value := range values["access_token"] {
			if value != Masked {
				t.Errorf("%q shows %q", raw, value)
			}
		}
	})
}

func FuzzReadRevocation(f *testing.F) {
	for _, seed := range []string{`{"user":"7","channel":12}`, `{"user":null}`, `[]`, `{"channel":{"a":1}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		user, channel, ok := readRevocation(body)
		if ok && ((user == "" && channel == "") || len(user) > event.MaxName || len(channel) > event.MaxName) {
			t.Errorf("%q: user %q, channel %q", body, user, channel)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add(200, "c1", []byte(`{"channel_id":"c1","user_id":"u"}`))
	f.Add(200, "c1", []byte(`{"joined_rooms":["c1"]}`))
	f.Add(400, "c1", []byte(`{"error":"not-allowed"}`))
	f.Fuzz(func(t *testing.T, status int, channel string, body []byte) {
		a, err := New(Config{URI: "/{channel}", UserJSON: "user_id", AllowJSON: []*Condition{{Path: "channel_id", Op: "==", Value: "{channel}"}},
			DenyJSON: []*Condition{{Path: "*.error", Op: "exists"}}}, "", nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		v := a.judge(&reply{status: status, body: body}, &request{auth: a, channel: channel, client: &Client{}}, new(Trace))
		if v.Outcome.String() == "allowed" && (status < 200 || status > 299 || (v.User != "" && event.CheckUser(v.User) != nil)) {
			t.Errorf("%d %q: %+v", status, body, v)
		}
	})
}

// FuzzCredential looks for a request whose credentials are read in two ways, or
// shown, or that gets a header or an address out of order.
func FuzzCredential(f *testing.F) {
	f.Add("Bearer tok", "", "", "session=a", "a=1")
	f.Add("", "key", "", "session=a; session=b", "api_key=x&access_token=y")
	f.Add("Token token=\"a\"", "", "", "", "access_token=")
	f.Add("Basic dG9rOng=", "", "second", "", "api%5fkey=%0a")
	a, err := New(Config{URI: "/r/{channel}", Cookies: []string{"session"}, Credentials: []Place{{"header", "X-Api-Key"}, {"query", "api_key"}}}, "", nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, authorization, key, second, cookie, query string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/flows", RawQuery: query}, Header: http.Header{}}
		count := 0
		for _, value := range []string{authorization, second} {
			if value != "" {
				r.Header.Add("Authorization", value)
				count++
			}
		}
		if key != "" {
			r.Header.Set("X-Api-Key", key)
			count++
		}
		r.Header.Set("Cookie", cookie)
		c, err := a.Credential(r)
		if err != nil {
			return
		}
		if count > 1 {
			t.Errorf("%d credentials are taken for one: %s", count, c)
		}
		asked, _ := a.request("1", false, a.Client(r, c))
		for name, values := range asked.secret.header {
			for _, value := range values {
				if !isToken(value) {
					t.Errorf("the header %s is %q", name, value)
				}
			}
		}
		if c.token != "" && c.cookie != "" {
			t.Error("a cookie goes beside a token")
		}
		if u, err := url.ParseRequestURI(asked.uri); err != nil || u.Path != "/r/1" {
			t.Errorf("asks %q: %v", asked.uri, err)
		}
		if c.IsZero() != (c.Who() == "") {
			t.Errorf("%s is somebody: %t", c, c.Who() != "")
		}
		for _, shown := range []string{c.String(), asked.uri} {
			if len(c.token) > 12 && strings.Contains(shown, c.token) {
				t.Errorf("%q shows the token", shown)
			}
		}
	})
}

func FuzzRedirect(f *testing.F) {
	for _, seed := range []string{"https://chat.test/r/1", "/login", "//evil", "", "%zz", "?x", "\x00"} {
		f.Add(seed)
	}
	a, err := New(Config{URI: "/r/{channel}"}, "", nil, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	r, _ := a.request("1", false, &Client{Credential: Credential{token: "s3cr3t"}})
	f.Fuzz(func(t *testing.T, location string) {
		trace := new(Trace)
		v := a.judge(&reply{status: 302, header: http.Header{"Location": {location}}}, r, trace)
		if v.Outcome.String() == "allowed" || len(trace.Steps) != 1 {
			t.Errorf("%q: %+v, %q", location, v, trace.Steps)
		}
	})
}
