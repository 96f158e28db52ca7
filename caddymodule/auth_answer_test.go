package caddymodule

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/stream/access"
)

// Where something of an answer's JSON is configured, a body that is none says
// neither yes nor no, such as the login page of an app that answers 200 with it.
func TestUnreadableAnswers(t *testing.T) {
	page := reply{status: http.StatusOK, header: http.Header{}, body: []byte("<h1>please log in</h1>")}
	condition := []*Condition{{Path: "id", Op: "==", Value: "1"}}
	channel, identity, list := question{channel: "1"}, question{}, question{channel: "1", list: true}
	for _, test := range []struct {
		name string
		auth Auth
		q    question
		want access.Outcome
	}{
		{"nothing of it", Auth{URI: "/a/{channel}"}, channel, access.Allowed},
		{"user header", Auth{URI: "/a/{channel}", UserHeader: "X-User"}, channel, access.Allowed},
		{"allow", Auth{URI: "/a/{channel}", AllowJSON: condition}, channel, access.Unknown},
		{"deny", Auth{URI: "/a/{channel}", DenyJSON: condition}, channel, access.Unknown},
		{"user", Auth{URI: "/a/{channel}", UserJSON: "id"}, channel, access.Unknown},
		{"user of another answer", Auth{URI: "/a/{channel}", Identity: "/me", UserJSON: "id"}, channel, access.Allowed},
		{"identity", Auth{URI: "/a/{channel}", Identity: "/me", UserJSON: "id"}, identity, access.Unknown},
		{"list", Auth{URI: "/a", ListJSON: "rooms.*"}, list, access.Unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.auth.provision(caddy.NewReplacer()); err != nil {
				t.Fatal(err)
			}
			test.q.client = new(client)
			v := test.auth.read(page, &test.q)
			if v.Outcome != test.want {
				t.Errorf("the verdict is %s (%s), want %s", v.Outcome, v.Cause, test.want)
			}
			why := strings.Join(test.auth.why(page, &test.q), "; ")
			if strings.Contains(why, "no JSON, and") != (test.want == access.Unknown) {
				t.Errorf("it is explained by: %s", why)
			}
		})
	}
}
