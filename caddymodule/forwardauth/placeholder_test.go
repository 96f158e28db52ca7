package forwardauth

import (
	"slices"
	"strings"
	"testing"
)

// A placeholder that has a value for nobody is a mistake that the load can see.
func TestMistypedPlaceholders(t *testing.T) {
	for name, want := range map[string]string{
		"http.request.headr.X-User":         "did you mean {http.request.header.X-User}?",
		"http.request.heade.Remote-User":    "did you mean {http.request.header.Remote-User}?",
		"http.request.cookies.sid":          "did you mean {http.request.cookie.sid}?",
		"http.request.header.":              "no placeholder",
		"http.request.tls.client.subjct":    "did you mean {http.request.tls.client.subject}?",
		"http.request.remote_host":          "did you mean {http.request.remote.host}?",
		"http.request.user":                 "no placeholder",
		"http.auth.usr.id":                  "did you mean {http.auth.user.id}?",
		"http.auth.user":                    "no placeholder",
		"http.auth.id":                      "no placeholder",
		"http.reqest.header.X-User":         "did you mean {http.request.header.X-User}?",
		"http.var.tenant":                   "did you mean {http.vars.tenant}?",
		"http.request.header.X-User":        "",
		"http.request.cookie.sid":           "",
		"http.request.uri.query.key":        "",
		"http.request.uri.path.1":           "",
		"http.request.remote.host":          "",
		"http.request.remote.host/24":       "",
		"http.request.method":               "",
		"http.request.tls.client.subject":   "",
		"http.request.tls.client.san.ips.0": "",
		"http.request.tls.client.san.ips":   "",
		"http.auth.user.id":                 "",
		"http.auth.user.email":              "",
		"http.vars.tenant":                  "",
		"http.regexp.room.1":                "",
		"http.geoip2.country":               "",
	} {
		for where, err := range map[string]error{
			"the address": CheckURI("/room/{channel}?u={" + name + "}"),
			"a header":    CheckValue("{" + name + "}"),
			"a condition": CheckCondition("{json.user} == {" + name + "}"),
		} {
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s in %s: %v", name, where, err)
			}
		}
	}
}

// A header that says who the client is must not come from the client; one with a
// secret may, because the app checks it.
func TestIdentityHeaders(t *testing.T) {
	a, err := New(Config{URI: "/room/{channel}", Headers: []Field{
		{"X-A", "{http.request.header.x-user}"}, {"X-B", "{http.request.header.X-Api-Key}"}, {"X-C", "{http.request.header.Remote-Groups}"},
		{"X-D", "{http.request.header.Accept-Language}"}, {"X-E", "{http.request.header.X-Auth-Request-User}"}, {"X-F", "{http.auth.user.id}"},
		{"X-G", "{http.request.header.X-Session-Token}"}, {"X-H", "{http.request.header.X-Tenant}"}, {"X-I", "{http.request.cookie.user}"},
	}}, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := a.IdentityHeaders(); !slices.Equal(got, []string{"X-User", "Remote-Groups", "X-Auth-Request-User", "X-Tenant"}) {
		t.Errorf("%q", got)
	}
}
