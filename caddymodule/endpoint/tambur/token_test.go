package tambur

import (
	"strings"
	"testing"
)

// The vectors are those of the suites of the Python, Ruby and JavaScript clients.
func TestTokensOfTheSuites(t *testing.T) {
	const subscriber = "a0629978-28d8-4fd4-b862-f67e9b6dfd8f"
	for _, test := range []struct{ mode, property, token string }{
		{"auth", "test", "2f25ad1ce5afab906cc582b6254a912590c60f73"},
		{"presence", "test:test_user", "dcadf9659116ebbe024a4cd5ae12bde48d95408e"},
		{"direct", "test:test_user", "2403374744295f5d22e3f999d4eb85b3f689c6b2"},
	} {
		app := theApp()
		if !app.holds(test.token, test.mode, test.property, subscriber) {
			t.Errorf("%s: the token is %s", test.mode, app.token("wsbot", test.mode, test.property, subscriber))
		}
		for name, refused := range map[string]bool{
			"of another mode":       app.holds(test.token, "other", test.property, subscriber),
			"of another stream":     app.holds(test.token, test.mode, "x"+test.property, subscriber),
			"of another subscriber": app.holds(test.token, test.mode, test.property, "b"+subscriber[1:]),
			"in capitals":           app.holds(strings.ToUpper(test.token), test.mode, test.property, subscriber),
			"cut off":               app.holds(test.token[:39], test.mode, test.property, subscriber),
			"empty":                 app.holds("", test.mode, test.property, subscriber),
		} {
			if refused {
				t.Errorf("%s: a token %s was taken", test.mode, name)
			}
		}
		app.secrets = app.secrets[:1]
		if app.holds(test.token, test.mode, test.property, subscriber) {
			t.Errorf("%s: a token of a secret that is gone was taken", test.mode)
		}
	}
}

// A token for a stream a:b and the user c is one for a stream a and the user b:c: so
// users have no colons, unless the configuration says that they may.
func TestUsersWithColons(t *testing.T) {
	app := theApp()
	for user, ok := range map[string]bool{"c": true, "b:c": false, ":": false, "": false, "a\n": false, "Älice": true} {
		if app.takesUser(user) != ok {
			t.Errorf("%q: %v", user, !ok)
		}
	}
	app.rules = &rules{colons: true}
	if !app.takesUser("b:c") || app.takesUser("") {
		t.Error("with colons")
	}
}

func FuzzToken(f *testing.F) {
	f.Add("2f25ad1ce5afab906cc582b6254a912590c60f73", "auth", "test", "a0629978-28d8-4fd4-b862-f67e9b6dfd8f")
	app := theApp()
	f.Fuzz(func(t *testing.T, token, mode, property, subscriber string) {
		want := false
		for _, secret := range app.secrets {
			want = want || app.token(secret, mode, property, subscriber) == token
		}
		if app.holds(token, mode, property, subscriber) != want {
			t.Errorf("%q: %v", token, !want)
		}
	})
}

func TestOpenStreams(t *testing.T) {
	app := theApp()
	app.rules = &rules{open: []string{"news", "public-*"}}
	for stream, open := range map[string]bool{"news": true, "public-1": true, "newsroom": false, "private": false, "": false, "public-a/b": false} {
		if app.isOpen(stream) != open {
			t.Errorf("%q: %v", stream, !open)
		}
	}
	app.rules = &rules{open: []string{"*"}}
	if !app.isOpen("a/b") {
		t.Error("* is all")
	}
}
