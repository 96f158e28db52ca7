package caddymodule

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// explainer reads a Caddyfile.
func explainer(t *testing.T, text string) *Explainer {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	x, err := NewExplainer(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	return x
}

func explained(t *testing.T, x *Explainer, target string) (*StreamExplanation, error) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}, RequestURI: u.RequestURI(),
		Host: u.Host, RemoteAddr: "127.0.0.1:1", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody,
	}
	if u.Scheme == "https" {
		r.TLS = new(tls.ConnectionState)
	}
	return x.Stream(r)
}

// A request is followed through sites, matchers and routes to the handler that
// takes it, as the server would.
func TestExplainFindsTheHandler(t *testing.T) {
	x := explainer(t, `
	one.test {
		sidestream {
			hub one
			auth none
		}
		reverse_proxy localhost:1
	}
	two.test {
		handle_path /stream/* {
			sidestream {
				hub two
				auth none
			}
			reverse_proxy localhost:1
		}
		handle {
			respond "the app"
			sidestream {
				hub unreachable
				auth none
			}
		}
	}
	http://two.test:8080 {
		@old header X-Old *
		sidestream @old {
			hub matched
			auth none
		}
		route {
			rewrite /listen/* /room/1/live.json
			sidestream {
				hub rewritten
				auth none
			}
		}
	}`)
	for target, want := range map[string]string{
		"https://one.test/room/1/live.json":            "one 1",
		"https://one.test/other":                       "goes to reverse_proxy",
		"https://two.test/stream/flows?filter=a%2Fb":   "two a/b",
		"https://two.test/room/1/live.json":            "goes to static_response",
		"https://two.test/stream/else":                 "goes to reverse_proxy",
		"http://two.test:8080/listen/x":                "rewritten 1",
		"http://two.test:8080/flows?filter=x":          "rewritten x",
		"http://three.test:8080/room/1/live.json":      "there is Sidestream at http://two.test:8080, https://one.test, https://two.test",
		"https://one.test/room/1%2F..%2F2/live.json":   "one ",
		"http://localhost:4000/room/behind/live.json":  "there is Sidestream at",
		"https://one.test:8443/room/a-proxy/live.json": "one a-proxy",
	} {
		e, err := explained(t, x, target)
		got := ""
		switch {
		case err != nil && !errors.Is(err, ErrNotOurs):
			t.Errorf("%s: %v", target, err)
			continue
		case err != nil:
			got = err.Error()
		default:
			got = e.Hub + " " + strings.Join(e.Channels, ",")
		}
		if got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
}

// What keeps the backend from answering is told.
func TestExplainTrouble(t *testing.T) {
	x := explainer(t, `http://one.test {
		sidestream 127.0.0.1:1 {
			auth GET /{org}/{flow} {
				anonymous
				timeout 1s
			}
		}
	}`)
	for target, want := range map[string]string{
		"http://one.test/flows/acme/main":  "503 the backend cannot be reached",
		"http://one.test/room/1/live.json": "404 nothing was asked",
	} {
		e, err := explained(t, x, target)
		if err != nil {
			t.Fatal(err)
		}
		status, why, _ := strings.Cut(want, " ")
		if len(e.Exchanges) != 1 || len(e.Exchanges[0].Why) != 1 || !strings.Contains(e.Exchanges[0].Why[0], why) || strconv.Itoa(e.Status) != status || e.Opened {
			t.Errorf("%s: %+v", target, e)
		}
	}
}

// What a session may listen to is not known where it begins, and nothing else is said.
func TestExplainOfASessionNamesNoAnswer(t *testing.T) {
	x := explainer(t, `http://one.test {
		sidestream 127.0.0.1:1 {
			auth GET /may/{channel}
			bayeux /faye
			tambur {
				app one key1 0123456789abcdef0123456789abcdef
			}
		}
	}`)
	for target, endpoint := range map[string]string{
		"http://one.test/faye": "bayeux", "http://one.test/key1/one/connect": "tambur", "http://one.test/app/one/stream/1": "tambur",
	} {
		e, err := explained(t, x, target)
		if err != nil {
			t.Fatal(err)
		}
		if !e.Session || e.Opened || e.Body != "" || e.Endpoint != endpoint || len(e.Exchanges) != 0 {
			t.Errorf("%s: %+v", target, e)
		}
	}
}
