package forwardauth

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-078801ba/sidestream/stream/access"
)

// signedOn is a request that handlers in front of us have learnt something
// about.
func signedOn(t *testing.T, known map[string]string) *http.Request {
	t.Helper()
	repl := caddy.NewReplacer()
	for name, value := range known {
		repl.Set(name, value)
	}
	r := stranger(t, "/flows")
	return r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, repl))
}

// Where a handler of Caddy signs users on, its placeholders are the credential.
func TestSingleSignOn(t *testing.T) {
	a, err := New(Config{URI: "/room/{channel}", Headers: []Field{
		{"X-User", "{http.auth.user.id}"}, {"X-Groups", "{http.request.header.Remote-Groups ?? http.auth.user.group}"},
	}}, "", nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if !a.Ambient() {
		t.Error("a browser is signed on by itself, but its pages may be anybody's")
	}
	client := func(known map[string]string) *Client {
		c, err := a.Credential(signedOn(t, known))
		if err != nil {
			t.Fatal(err)
		}
		return a.Client(stranger(t, "/flows"), c)
	}
	alice := client(map[string]string{"http.auth.user.id": "alice", "http.auth.user.group": "staff"})
	if alice.Credential.IsZero() || !alice.Credential.Ambient() {
		t.Error("who is signed on counts as nobody, or as a token")
	}
	if text := alice.Credential.String(); !strings.Contains(text, `{http.auth.user.id} is "alice"`) {
		t.Errorf("it is said to be %s", text)
	}
	r, missing := a.request("1", false, alice)
	if missing != "" || r.secret.header.Get("X-User") != "alice" || r.secret.header.Get("X-Groups") != "staff" {
		t.Errorf("asks with %v, %q is missing", r.secret.header, missing)
	}

	// They tell clients apart: in the cache, and for limits.
	for name, known := range map[string]map[string]string{
		"another user":  {"http.auth.user.id": "bob", "http.auth.user.group": "staff"},
		"another group": {"http.auth.user.id": "alice", "http.auth.user.group": "boss"},
	} {
		other := client(known)
		gate := access.New(access.Config{}, func(_ context.Context, q access.Question) access.Verdict {
			if q.Origin == any(alice) {
				return access.Verdict{Outcome: access.Allowed}
			}
			return access.Verdict{Outcome: access.Denied, Cause: access.Forbidden}
		})
		for _, c := range []*Client{alice, other} {
			q := a.MayListen(c)
			q.Channel = "1"
			if v := gate.Check(t.Context(), q); (v.Outcome == access.Allowed) != (c == alice) {
				t.Errorf("%s: %v", name, v.Outcome)
			}
		}
		gate.Close()
		if other.Credential.Who() == alice.Credential.Who() {
			t.Errorf("%s counts as the same client", name)
		}
	}

	// A question that lacks what it is about is not put.
	for name, known := range map[string]map[string]string{
		"nobody":         nil,
		"an empty user":  {"http.auth.user.id": "", "http.auth.user.group": "staff"},
		"no group":       {"http.auth.user.id": "alice"},
		"a line break":   {"http.auth.user.id": "alice\r\nX-User: root", "http.auth.user.group": "staff"},
		"something else": {"http.auth.user.name": "alice"},
	} {
		c := client(known)
		q := a.MayListen(c)
		q.Channel = "1"
		v := a.Ask(t.Context(), q) // there is no backend: it would panic
		if v.Outcome != access.Denied || v.Cause != access.BadCredential {
			t.Errorf("%s: %+v", name, v.Verdict)
		}
		if x := v.Trace.Exchange(); x.Method != "" || len(v.Trace.Steps) == 0 {
			t.Errorf("%s: the trace has %+v, %q", name, x, v.Trace.Steps)
		}
	}
	for _, uri := range []string{"/{channel}?u={http.reverse_proxy.upstream.host}", "/{channel}?u={htp.auth.user.id}", "/{channel}?u={auth.user.id}"} {
		if _, err := New(Config{URI: uri}, "", nil, nil); err == nil {
			t.Errorf("%s was taken", uri)
		}
	}
}

// Limits count the user that was signed on, whatever token it sends beside that.
func TestSignedOnClientsAreCountedByUser(t *testing.T) {
	a, err := New(Config{URI: "/room/{channel}?u={http.auth.user.id}"}, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, token := range []string{"", "Bearer a", "Bearer b", basic("c")} {
		r := signedOn(t, map[string]string{"http.auth.user.id": "alice"})
		if token != "" {
			r.Header.Set("Authorization", token)
		}
		c, err := a.Credential(r)
		if err != nil {
			t.Fatal(err)
		}
		seen[c.Who()] = true
	}
	if len(seen) != 1 {
		t.Errorf("alice is %d clients", len(seen))
	}
}

// A stream from before a reload has no value for a placeholder that only the new
// configuration uses. That is no evidence against its client.
func TestPlaceholdersThatAReloadBrings(t *testing.T) {
	old, err := New(Config{URI: "/room/{channel}"}, "old", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	now, err := New(Config{URI: "/room/{channel}?u={http.auth.user.id}"}, "new", nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := stranger(t, "/flows")
	r.Header.Set("Authorization", "Bearer tok")
	c, err := old.Credential(r)
	if err != nil {
		t.Fatal(err)
	}
	q := old.MayListen(old.Client(r, c))
	q.Channel = "1"
	if v := now.Ask(t.Context(), q); v.Outcome != access.Unknown {
		t.Errorf("a stream from before: %+v", v.Verdict)
	}
	q = now.MayListen(now.Client(r, c))
	q.Channel = "1"
	if v := now.Ask(t.Context(), q); v.Outcome != access.Denied {
		t.Errorf("a new one: %+v", v.Verdict)
	}
}
