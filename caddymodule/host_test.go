package caddymodule

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// askedAs opens a stream with a Host and tells which Host the app was asked
// under.
func (s *site) askedAs(t *testing.T, host string) string {
	t.Helper()
	s.app.forget()
	r, err := http.NewRequest(http.MethodHead, "http://unix/room/"+url.PathEscape(host)+"/live.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	r.Header.Set("Authorization", strings.TrimPrefix(asBasic, "Authorization: "))
	r.Header.Set("X-Forwarded-Host", "wiki.test")
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	asked := s.app.questions()
	if len(asked) != 1 {
		return "nobody"
	}
	if forwarded := asked[0].header.Get("X-Forwarded-Host"); forwarded != "" && forwarded != asked[0].host {
		t.Errorf("X-Forwarded-Host is %s, the Host %s", forwarded, asked[0].host)
	}
	return asked[0].host
}

// A client's Host never reaches the app: it could choose another virtual host, or
// another tenant, there.
func TestTheAppIsAskedUnderOneHost(t *testing.T) {
	for name, x := range map[string]struct {
		site, auth, backend string
		want                string
	}{
		"the site's name":       {"http://chat.test", "", "APP", "chat.test"},
		"the first of several":  {"http://chat.test, http://www.chat.test", "", "APP", "chat.test"},
		"said in auth":          {"http://", "host chat.example", "APP", "chat.example"},
		"said in auth, instead": {"http://chat.test", "host chat.example", "APP", "chat.example"},
		"a header of auth":      {"http://", "header Host chat.example", "APP", "chat.example"},
		"said of the backend":   {"http://", "", "APP {\nheader_up Host app.example\n}", "app.example"},
		"a placeholder of Caddy": {
			"http://chat.test", "", "APP {\nheader_up Host {host}\n}", "chat.test",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			text := s.caddyfile(hooks + inMemory + "\nauth GET /room/{channel}.json {\n" + x.auth + "\n}")
			text = strings.Replace(text, "http://chat.test {", x.site+" {", 1)
			backend := strings.NewReplacer("APP", "unix/"+s.app.socket).Replace(x.backend)
			text = strings.Replace(text, "backend unix/"+s.app.socket, "backend "+backend, 1)
			if err := s.run(text); err != nil {
				t.Fatal(err)
			}
			for _, host := range []string{"chat.test", "CHAT.test:1", "wiki.test", "www.chat.test"} {
				if strings.HasPrefix(x.site, "http://chat.test") && (host == "wiki.test" || host == "www.chat.test" && !strings.Contains(x.site, "www")) {
					continue // is no request of this site
				}
				if got := s.askedAs(t, host); got != x.want {
					t.Errorf("the Host %s: the app is asked as %s, want %s", host, got, x.want)
				}
			}
		})
	}
}

// Where no host is known, or the client's would be it, nothing starts.
func TestTheAskedHostIsKnown(t *testing.T) {
	for name, x := range map[string]struct{ config, want string }{
		"a catch-all site and a socket": {":80 {\nsidestream unix//run/app.sock {\nauth GET /{channel}\n}\n}", "host chat.example.com"},
		"a wildcard and a socket":       {"*.test:80 {\nsidestream unix//run/app.sock {\nauth GET /{channel}\n}\n}", "host chat.example.com"},
		"the client's host":             {"chat.test:80 {\nsidestream :3000 {\nauth GET /{channel} {\nhost {host}\n}\n}\n}", "the client chooses the host"},
		"a header with it":              {"chat.test:80 {\nsidestream :3000 {\nauth GET /{channel} {\nheader Host {http.request.host}\n}\n}\n}", "the client chooses the host"},
		"a label of it":                 {"*.test:80 {\nsidestream :3000 {\nauth GET /{labels.1}/{channel}\n}\n}", "the client chooses the host"},
		"a forwarded one":               {"chat.test:80 {\nsidestream :3000 {\nauth GET /{channel} {\nheader X-Forwarded-Host {header.X-Forwarded-Host}\n}\n}\n}", "the client chooses the host"},
		"the channel":                   {"chat.test:80 {\nsidestream :3000 {\nauth GET /{channel} {\nheader Host {channel}.test\n}\n}\n}", "must fix it"},
		"two tenants, one hub": {"a.test:80 {\nsidestream localhost:3000 {\nauth GET /{channel}\nhistory {\nstore memory\n}\n}\n}\nb.test:80 {\nsidestream localhost:3000 {\nauth GET /{channel}\nhistory {\nstore memory\n}\n}\n}",
			"the names of different sites"},
	} {
		t.Run(name, func(t *testing.T) {
			config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("{\nadmin off\nauto_https off\n}\n"+x.config), map[string]any{"filename": "Caddyfile"})
			if err == nil {
				err = caddy.Validate(mustConfig(t, config))
			}
			if err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v, want %q", err, x.want)
			}
		})
	}
}

// The address of the backend stands in where the site has no name.
func TestTheBackendsAddressIsItsHost(t *testing.T) {
	file, seen, i := filepath.Join(t.TempDir(), "log"), 0, 0
	for config, want := range map[string]string{
		":80 {\nsidestream localhost:3000 {\nauth GET /{channel}\n}\n}":                                                  "localhost:3000",
		":80 {\nsidestream http://app.test {\nauth GET /{channel}\n}\n}":                                                 "app.test",
		":80 {\nsidestream unix//run/x.sock app.test:3000 {\nauth GET /{channel}\n}\n}":                                  "app.test:3000",
		":80 {\nsidestream [::1]:3000 {\nauth GET /{channel}\n}\n}":                                                      "[::1]:3000",
		":80 {\n@chat host chat.test\nhandle @chat {\nsidestream localhost:3000 {\nauth GET /{channel}\n}\n}\n}":         "chat.test",
		"*.test:80 {\nsidestream localhost:3000 {\nauth GET /{channel}\n}\n}":                                            "localhost:3000",
		"b.test:80 {\nsidestream localhost:3000 {\nhub b\nauth GET /{channel}\n}\n}\na.test:80 {\nrespond hello\n}":      "b.test",
		"one.test:80 {\nrespond x\n}\ntwo.test:80 {\nroute {\nsidestream localhost:3000 {\nauth GET /{channel}\n}\n}\n}": "two.test",
	} {
		adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("{\nadmin off\nauto_https off\nlog {\noutput file "+file+"\nlevel DEBUG\n}\n}\n"+config), map[string]any{"filename": "Caddyfile"})
		if err != nil {
			t.Fatalf("%s: %v", config, err)
		}
		if err := caddy.Validate(mustConfig(t, adapted)); err != nil {
			t.Errorf("%s: %v", config, err)
			continue
		}
		log, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if line := `"host":"` + want + `"`; strings.Count(string(log), "under this host") != i+1 || !strings.Contains(string(log)[seen:], line) {
			t.Errorf("%s\nis not asked as %s: %s", config, want, log[seen:])
		}
		seen = len(log)
		i++
	}
}

// mustConfig is a configuration of Caddy.
func mustConfig(t *testing.T, text []byte) *caddy.Config {
	t.Helper()
	config := new(caddy.Config)
	if err := json.Unmarshal(text, config); err != nil {
		t.Fatal(err)
	}
	return config
}

// An IPv6 address stands in brackets in a Host header. Apps answer 400 to one without.
func TestHostOfAnIPv6Site(t *testing.T) {
	for host, want := range map[string]string{"::1": "[::1]", "2001:db8::7": "[2001:db8::7]", "192.0.2.7": "192.0.2.7", "chat.test": "chat.test"} {
		if got := bracketed(host); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}
