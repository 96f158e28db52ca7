package forwardauth

import (
	"net/http"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/access"
)

// TestPresets holds every preset's request and condition to the answers that
// were seen of these backends.
func TestPresets(t *testing.T) {
	c := &Client{Credential: Credential{token: "tok", password: "pw", authorization: "Basic x"}}
	for _, x := range []struct {
		preset, channel string
		uri             string
		header          map[string]string
		status          int
		body            string
		outcome         access.Outcome
		cause           access.Cause
		user            string
	}{
		{"mattermost", "c1", "/api/v4/channels/c1/members/me", map[string]string{"Authorization": "Bearer tok"}, 200, `{"channel_id":"c1","user_id":"u1"}`, access.Allowed, 0, "u1"},
		{"mattermost", "c1", "", nil, 200, `{"channel_id":"c2","user_id":"u1"}`, access.Denied, access.Forbidden, ""},
		{"mattermost", "c1", "", nil, 403, `{}`, access.Denied, access.Forbidden, ""},
		{"mattermost", "c1", "", nil, 200, `<html>`, access.Unknown, access.Unavailable, ""},
		{"matrix", "!a:b", "/_matrix/client/v3/joined_rooms", map[string]string{"Authorization": "Bearer tok"}, 200, `{"joined_rooms":["!a:b"]}`, access.Allowed, 0, ""},
		{"rocketchat", "r", "/api/v1/rooms.info?roomId=r", map[string]string{"X-User-Id": "tok", "X-Auth-Token": "pw", "Authorization": ""}, 200, `{"success":true}`, access.Allowed, 0, ""},
		{"rocketchat", "r", "", nil, 200, `{"success":false}`, access.Denied, access.Forbidden, ""},
		{"rocketchat", "r", "", nil, 400, `{"success":false,"error":"not-allowed"}`, access.Denied, access.Forbidden, ""},
		{"zulip", "5", "/api/v1/users/me/5/topics", map[string]string{"Authorization": "Basic x"}, 200, `{"result":"success"}`, access.Allowed, 0, ""},
		{"zulip", "5", "", nil, 400, `{"result":"error"}`, access.Denied, access.NotFound, ""},
		{"discourse", "5", "/chat/api/channels/5/messages?page_size=1", map[string]string{"User-Api-Key": "tok"}, 200, `{}`, access.Allowed, 0, ""},
		{"campfire", "5", "/rooms/5/involvement", nil, 302, ``, access.Denied, access.BadCredential, ""},
		{"campfire_classic", "5", "/room/5.json", map[string]string{"Authorization": "Basic x"}, 200, `{}`, access.Allowed, 0, ""},
		{"flowdock", "a/b", "/flows/a/b", map[string]string{"Authorization": "Basic x"}, 404, `{}`, access.Denied, access.NotFound, ""},
		{"laravel", "5", "/broadcasting/auth", map[string]string{"Authorization": "Basic x"}, 200, `{}`, access.Allowed, 0, ""},
	} {
		a, err := New(Config{Preset: x.preset}, "", nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", x.preset, err)
		}
		r, _ := a.request(x.channel, a.list != nil, c)
		if x.uri != "" {
			if r.uri != x.uri {
				t.Errorf("%s: asks %s, want %s", x.preset, r.uri, x.uri)
			}
			for name, want := range x.header {
				if got := r.secret.header.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", x.preset, name, got, want)
				}
			}
		}
		header := http.Header{}
		if x.status == 302 {
			header.Set("Location", "/session/new")
		}
		v := a.judge(&reply{status: x.status, header: header, body: []byte(x.body)}, r, new(Trace))
		if v.Outcome != x.outcome || v.Cause != x.cause || v.User != x.user {
			t.Errorf("%s %d %s: %v %v %q", x.preset, x.status, x.body, v.Outcome, v.Cause, v.User)
		}
	}
}

func TestAgeOfAnswers(t *testing.T) {
	for value, want := range map[string]int{
		"": 0, "no-store": -1, "max-age=10": 10, "private, max-age=0, must-revalidate": 0, "no-cache, no-store, max-age=9": -1, "max-age=x": 0,
	} {
		h := http.Header{}
		if value != "" {
			h.Set("Cache-Control", value)
		}
		got := maxAge(h)
		if got > 0 {
			got /= 1e9
		}
		if int(got) != want {
			t.Errorf("%q: %d, want %d", value, got, want)
		}
	}
}
