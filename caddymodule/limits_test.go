package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// behindProxy lets clients of the socket name their address, as a trusted
// proxy does.
const behindProxy = "trusted_proxies_unix\ntrusted_proxies static 10.0.0.0/8"

func TestLimits(t *testing.T) {
	s := newSite(t)
	s.servers = behindProxy
	s.load(basics + `
		limits {
			streams 4
			per_address 2
			per_credential 3
			channels 2
		}`)
	s.app.allow("tok", "1", "2", "3")
	s.app.allow("other", "1")
	from := func(address string) string { return "X-Forwarded-For: " + address }
	const other = "Authorization: Bearer other"
	s.open("/room/1/live.json", asBearer, from("203.0.113.1"))
	first := s.open("/room/1/live.json", asBearer, from("203.0.113.1"))
	refused := s.get("/room/1/live.json", other, from("203.0.113.1"))
	if refused.StatusCode != http.StatusTooManyRequests || refused.Header.Get("Retry-After") == "" {
		t.Errorf("a third stream of one address: %d", refused.StatusCode)
	}
	if resp := s.get("/flows?filter=1", other, asSSE, from("203.0.113.1")); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the same by server-sent events: %d", resp.StatusCode)
	}
	s.open("/room/1/live.json", asBearer, from("2001:db8::1"))
	if resp := s.get("/room/1/live.json", asBearer, from("203.0.113.2")); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a fourth stream of one token: %d", resp.StatusCode)
	}
	s.open("/room/1/live.json", other, from("203.0.113.3"))
	if resp := s.get("/room/1/live.json", other, from("203.0.113.4")); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a fifth stream: %d", resp.StatusCode)
	}
	if got := body(t, s.get("/flows?filter=1", other, asSSE, from("203.0.113.4"))); !strings.HasPrefix(got, "retry: ") {
		t.Errorf("a fifth stream by server-sent events: %q", got)
	}
	if resp := s.get("/flows?filter=1,2,3", other, from("203.0.113.4")); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("three channels: %d", resp.StatusCode)
	}
	first.Body.Close()
	eventually(t, "the place is given back", func() bool {
		resp := s.get("/room/1/live.json", other, from("203.0.113.1"))
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// One user is one client to per_credential, whatever it presents.
func TestLimitByCredentialCountsUsers(t *testing.T) {
	s := newSite(t)
	s.load(strings.Replace(basics, "auth GET /room/{channel}.json", `auth GET /room/{channel}.json {
		user json user.id
	}`, 1) + `
		limits {
			per_credential 2
		}`)
	var users []string
	for i := range 5 {
		s.app.allow(fmt.Sprint("token", i), "1")
		users = append(users, fmt.Sprintf("Authorization: Bearer token%d", i))
	}
	s.open("/room/1/live.json", users[0])
	s.open("/room/1/live.json", users[1])
	for _, user := range users[2:] {
		if resp := s.get("/room/1/live.json", user); resp.StatusCode != http.StatusTooManyRequests {
			t.Errorf("another token of the same user: %d", resp.StatusCode)
		}
	}
}

func TestGuessersAreSlowed(t *testing.T) {
	s := newSite(t)
	s.servers = behindProxy
	s.load(basics)
	s.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if token := r.Header.Get("Authorization"); strings.HasPrefix(token, "Bearer guess") {
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		return false
	}
	s.app.allow("tok", "1")
	status := 0
	for i := range 30 {
		resp := s.get("/room/1/live.json", fmt.Sprintf("Authorization: Bearer guess%d", i), "X-Forwarded-For: 203.0.113.9")
		if status = resp.StatusCode; status == http.StatusTooManyRequests {
			break
		}
	}
	if status != http.StatusTooManyRequests || len(s.app.questions()) > 20 {
		t.Errorf("after 30 guesses: status %d, %d questions", status, len(s.app.questions()))
	}
	s.open("/room/1/live.json", asBasic, "X-Forwarded-For: 203.0.113.10")
}

// Bad tokens of one address block neither who has a good one there, nor anybody
// at a browser that a page of another site made send them.
func TestGuessesOfOthersBlockNobody(t *testing.T) {
	s := newSite(t)
	s.servers = behindProxy
	s.load(strings.Replace(basics, "auth GET /room/{channel}.json", `auth GET /room/{channel}.json {
		cache 1ms
	}`, 1))
	s.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if token := r.Header.Get("Authorization"); strings.HasPrefix(token, "Bearer guess") {
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		return false
	}
	s.app.allow("tok", "1", "2")
	s.app.allow("late", "1")
	const address, victim = "X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 203.0.113.10"
	s.open("/room/1/live.json", asBearer, address)
	for i := range 25 {
		s.get("/room/1/live.json", fmt.Sprintf("Authorization: Bearer guess%d", i), address)
	}
	s.open("/room/2/live.json", asBearer, address) // asked about anew
	if resp := s.get("/room/1/live.json", "Authorization: Bearer late", address); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("an unknown token of a blocked address: %d", resp.StatusCode)
	}
	for i := range 50 {
		foreign := []string{"Origin: https://evil.test", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"}[i%3]
		resp := s.get(fmt.Sprintf("/flows?filter=1&access_token=guess%d", i), foreign, asSSE, victim)
		if resp.StatusCode != http.StatusUnauthorized {
			t.Fatalf("guess %d that a page made: %d", i, resp.StatusCode)
		}
	}
	s.open("/room/1/live.json", "Authorization: Bearer late", victim)
}

func TestForwardedFromATrustedProxy(t *testing.T) {
	s := newSite(t)
	s.servers = behindProxy
	s.load(basics)
	s.app.allow("tok", "1")
	s.open("/room/1/live.json", asBasic, "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: chat.example")
	h := s.app.questions()[0].header
	// Apps take X-Forwarded-Host for the Host, which the client chooses.
	if h.Get("X-Forwarded-For") != "203.0.113.9" || h.Get("X-Forwarded-Proto") != "https" || h.Get("X-Forwarded-Host") != "chat.test" {
		t.Errorf("the backend got %v", h)
	}
}

// Behind a proxy that is not trusted, everybody is one client: the log says so
// once.
func TestUntrustedProxyIsNamedOnce(t *testing.T) {
	lines := func(s *site) int { return strings.Count(s.logs(), "name it in trusted_proxies") }
	for name, header := range map[string]string{"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Real-Ip": "203.0.113.9"} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.load(basics)
			s.app.allow("tok", "1")
			s.open("/room/1/live.json", asBasic)
			if lines(s) != 0 {
				t.Error("a client without a proxy is warned about")
			}
			for range 3 {
				s.open("/room/1/live.json", asBasic, name+": "+header)
			}
			eventually(t, "the log names the proxy", func() bool { return lines(s) == 1 })
		})
	}
	s := newSite(t)
	s.servers = behindProxy
	s.load(basics)
	s.app.allow("tok", "1")
	s.open("/room/1/live.json", asBasic, "X-Forwarded-For: 203.0.113.9")
	if lines(s) != 0 {
		t.Error("a trusted proxy is warned about")
	}
}
