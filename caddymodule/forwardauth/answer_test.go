package forwardauth

import (
	"net/http"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/access"
)

// Where something of an answer's JSON is configured, a body that is none says
// neither yes nor no, such as the login page of an app that answers 200 with it.
func TestUnreadableAnswers(t *testing.T) {
	page := &reply{status: http.StatusOK, header: http.Header{}, body: []byte("<h1>please log in</h1>")}
	condition := []*Condition{{Path: "id", Op: "==", Value: "1"}}
	channel, identity, list := request{channel: "1"}, request{}, request{channel: "1", list: true}
	for _, test := range []struct {
		name string
		auth Config
		r    request
		want access.Outcome
	}{
		{"nothing of it", Config{URI: "/a/{channel}"}, channel, access.Allowed},
		{"user header", Config{URI: "/a/{channel}", UserHeader: "X-User"}, channel, access.Allowed},
		{"allow", Config{URI: "/a/{channel}", AllowJSON: condition}, channel, access.Unknown},
		{"deny", Config{URI: "/a/{channel}", DenyJSON: condition}, channel, access.Unknown},
		{"user", Config{URI: "/a/{channel}", UserJSON: "id"}, channel, access.Unknown},
		{"user of another answer", Config{URI: "/a/{channel}", Identity: "/me", UserJSON: "id"}, channel, access.Allowed},
		{"identity", Config{URI: "/a/{channel}", Identity: "/me", UserJSON: "id"}, identity, access.Unknown},
		{"list", Config{URI: "/a", ListJSON: "rooms.*"}, list, access.Unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, err := New(test.auth, "", nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			test.r.auth, test.r.client = a, new(Client)
			trace := new(Trace)
			v := a.judge(page, &test.r, trace)
			if v.Outcome != test.want {
				t.Errorf("the verdict is %s (%s), want %s", v.Outcome, v.Cause, test.want)
			}
			if why := strings.Join(trace.Steps, "; "); strings.Contains(why, "no JSON, and") != (test.want == access.Unknown) {
				t.Errorf("it is explained by: %s", why)
			}
		})
	}
}
