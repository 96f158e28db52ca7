package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWithRealtime(t *testing.T) {
	const added = `"realtime_url":"//h/faye","realtime_channel":"/r"`
	for body, want := range map[string]string{
		`{"id":1.0, "a":"\u00e9"}`: "{" + added + `,"id":1.0, "a":"\u00e9"}`, " \n{ }": " \n{" + added + " }",
		`[{"id":1}]`: "", `{"id":1`: "", `"x"`: "", "": "", `{"realtime_channel":"/own"}`: "",
	} {
		if want == "" {
			want = body
		}
		if got := string(withRealtime([]byte(body), "//h/faye", "/r")); got != want {
			t.Errorf("%s: %s", body, got)
		}
	}
}

func TestIDInAddress(t *testing.T) {
	for _, c := range []struct{ page, uri, want string }{
		{"/api/live/{id}.json", "/api/live/5.json", "5"}, {"/api/live/{id}.json", "/api/live/a%2Fb.json", "a/b"}, {"/api/live/{id}.json", "/api/live/.json", ""},
		{"/api/live/{id}.json", "/api/live/5/6.json", ""}, {"/api/live/{id}", "/api/live/5?x=1", "5"}, {"/api/live/{id}", "/api/photo/5", ""},
		{"/api/live?id={id}", "/api/live?id=5&x=1", "5"}, {"/api/live?id={id}", "/api/live?id=5&id=6", ""}, {"/api/live?id={id}", "/api/live", ""},
	} {
		got, ok := idIn(c.page, httptest.NewRequest(http.MethodGet, c.uri, nil))
		if got != c.want && ok || ok != (c.want != "") {
			t.Errorf("%s for %s: %q, %v", c.uri, c.page, got, ok)
		}
	}
}
