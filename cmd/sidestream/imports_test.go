package main_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/seed-078801ba/sidestream/"

// layers is who may import what: data flows one way, so packages look one way.
// Of our own packages only those in may; of all others none whose path begins
// with one in never.
var layers = map[string]struct{ may, never []string }{
	"stream/event":  {nil, []string{caddy, "net/http"}},
	"stream/format": {[]string{"stream/event"}, []string{caddy, "net", "net/http"}},
	"stream/log":    {[]string{"stream/event"}, []string{caddy, "net/http"}},
	"stream/conn":   {nil, []string{caddy, zap}},
	"stream/access": {nil, []string{caddy, "net/http"}},
	"stream":        {[]string{"stream/event", "stream/format", "stream/log", "stream/conn", "stream/access"}, []string{caddy, "net/http"}},
	"webhook":       {[]string{"stream/event"}, []string{caddy}},
	"webhook/redis": {[]string{"stream/event", "webhook"}, []string{caddy}},
	"caddymodule": {[]string{"stream", "stream/event", "stream/format", "stream/log", "stream/conn", "stream/access", "webhook",
		"webhook/redis"}, nil},
}

const (
	caddy = "github.com/caddyserver/"
	zap   = "go.uber.org/zap"
)

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}:{{range .Imports}} {{.}}{{end}}`, module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		path, imports, _ := strings.Cut(strings.TrimSpace(line), ":")
		name := strings.TrimPrefix(path, module)
		rule, ok := layers[name]
		if !ok {
			if !strings.HasPrefix(name, "cmd/") && !testSupport(name) {
				t.Errorf("package %s has no place in the table", name)
			}
			continue
		}
		for _, imp := range strings.Fields(imports) {
			if ours, ok := strings.CutPrefix(imp, module); ok && !slices.Contains(rule.may, ours) {
				t.Errorf("%s imports %s", name, ours)
			}
			for _, never := range rule.never {
				if imp == never || strings.HasSuffix(never, "/") && strings.HasPrefix(imp, never) || strings.HasPrefix(imp, never+"/") && never != "net" {
					t.Errorf("%s imports %s", name, imp)
				}
			}
		}
	}
}

// testSupport tells packages that only tests import.
func testSupport(name string) bool { return strings.HasSuffix(name, "test") }
