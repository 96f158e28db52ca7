package forwardauth

import (
	"net/url"
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
			DenyJSON: []*Condition{{Path: "*.error", Op: "exists"}}}, "", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		v := a.judge(&reply{status: status, body: body}, &request{auth: a, channel: channel, client: &Client{}}, new(Trace))
		if v.Outcome.String() == "allowed" && (status < 200 || status > 299 || (v.User != "" && event.CheckUser(v.User) != nil)) {
			t.Errorf("%d %q: %+v", status, body, v)
		}
	})
}
