package e2e

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docsSecret is a good secret of every kind: as text, in hex, in base64, and in a
// path.
const docsSecret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// docsEnv are the variables that the Caddyfiles of the pages use.
func docsEnv(t *testing.T) []string {
	t.Helper()
	env := []string{"HOOK_SECRET=" + docsSecret, "WHSEC=whsec_" + docsSecret, "REDIS_URL=redis://localhost:6379"}
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			for _, m := range regexp.MustCompile(`\{env\.(\w+)\}`).FindAllStringSubmatch(b.text, -1) {
				if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, m[1]+"=") }) {
					env = append(env, m[1]+"="+docsSecret)
				}
			}
		}
	}
	return env
}

// whole is the Caddyfile of a block. What is only a part of one gets what is
// missing around it.
func (b *block) whole() string {
	text := b.text
	switch b.info {
	case "caddyfile":
		return text
	case "caddyfile sidestream":
		for _, need := range []struct{ option, or string }{{"auth", "auth GET /room/{channel}.json"}} {
			if !strings.HasPrefix(text, need.option+" ") && !strings.Contains(text, "\n"+need.option+" ") {
				text += need.or + "\n"
			}
		}
		text = "sidestream localhost:3000 {\n" + text + "}\n"
	}
	return "http://localhost:8080 {\n" + text + "}\n"
}

// Every Caddyfile of every page is valid, and warns of nothing.
func TestDocsCaddyfiles(t *testing.T) {
	count, env := 0, docsEnv(t)
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if !strings.HasPrefix(b.info, "caddyfile") {
				continue
			}
			count++
			t.Run(fmt.Sprintf("%s:%d", p.name, b.line), func(t *testing.T) {
				s := &server{folder: t.TempDir()}
				text := strings.ReplaceAll(b.whole(), "/var/lib/sidestream", s.folder)
				if err := os.WriteFile(s.caddyfile(), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				p := run(t, append(s.env(), env...), s.folder, command(t), "validate", "--config", s.caddyfile(), "--adapter", "caddyfile")
				<-p.exited
				said := p.errOut.tail(4000)
				if p.err != nil {
					t.Fatalf("%v\n%s\n%s", p.err, said, text)
				}
				for line := range strings.Lines(said) {
					if strings.Contains(line, `"level":"warn"`) && !strings.Contains(line, "not formatted") &&
						!strings.Contains(line, "connection refused") { // there is no Redis here
						t.Errorf("%s\n%s", line, text)
					}
				}
			})
		}
	}
	if count < 30 {
		t.Errorf("only %d Caddyfiles found", count)
	}
}
