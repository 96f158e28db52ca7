package caddymodule

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// A wrong spelling gets an error that has the right one, and is never taken
// literally.
func TestWrongSpellings(t *testing.T) {
	for directives, want := range map[string]string{
		"health /health*":                 "write for example /health",
		"health {path}":                   "write for example /health",
		"health https://x.test/health":    "it is a whole address",
		"health health":                   "does not begin with a slash",
		"revoke /access/* {\nsecret x\n}": "write for example /revoke",
		"revoke /access/:user":            "without wildcards or parameters",
		"campfire /stream/*":              "write for example /stream",
		"flowdock on":                     "flowdock is on where it is named",
		"heartbeat 2s":                    "as in: heartbeat campfire 2s",
		"heartbeat campfire 2":            `heartbeat campfire: "2" is no time`,
		"history memory":                  "history { store memory }",
		"limits streams 5":                "limits { streams 10000 }",
		"cors https://a.test":             "cors { origins https://chat.example.com }",
		"secret abc":                      "it stands in the block of webhook; write webhook { secret ... }",
		"store memory":                    "it stands in the block of history; write history { store ... }",
		"hub":                             "hub needs a value",
		"realm My Chat":                   "put it in quotes",
		"path /x":                         "known are auth",
		"heath /x":                        "did you mean health?",
		"auth campfire":                   "write auth preset campfire",
		"auth /room/{channel}":            "write auth GET /room/{channel}",
		"auth get /room/{channel}":        "write auth GET /room/{channel}",
		"auth GET /{channel} {\nallow {member} == true\n}":           "a place in the answer is written {json.member}",
		"auth GET /{channel} {\nallow json.member == true\n}":        "allow {json.<path>} == <value>",
		"webhook /in {\nmap op edit if {json.what} == changed\n}":    "behind the word when, as in map op edit when",
		"webhook /in {\nmap op delete unless {json.what} == said\n}": "behind the word when, as in map op delete when",
	} {
		text := "http://x.test {\nsidestream localhost:1 {\n" + directives + "\n}\n}"
		_, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", directives, err, want)
		}
	}
}
