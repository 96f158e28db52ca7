package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/seed-078801ba/sidestream/"

const (
	caddy = "github.com/caddyserver/..."
	zap   = "go.uber.org/zap/..."
)

// layer says what packages may import. Patterns are those of the go command: a
// path, or a path and /... for it and all below it.
type layer struct {
	// packages are those that the row is for, below the module's path. Of
	// several rows for a package, the one with the narrowest pattern counts.
	packages string
	// ours are the packages of this module that they may import. "." stands
	// for all packages of the row itself.
	ours []string
	// never are packages of others, and of Go, that they may not import.
	never []string
	// but are exceptions of never.
	but []string
}

// layers is who may import what. Data flows one way, so packages look one way: a
// row names only packages of rows above it. Whoever makes a package adds a row.
var layers = []layer{
	// The engine: no Caddy, no HTTP.
	{packages: "stream/event", never: []string{caddy, "net/...", "github.com/redis/..."}},
	{packages: "stream/format", ours: []string{"stream/event"}, never: []string{caddy, "net/..."}},
	{packages: "stream/redisconn", never: []string{caddy, zap, "net/http"}},
	{packages: "stream/log", ours: []string{"stream/event"}, never: []string{caddy, "net/..."}},
	{packages: "stream/log/memory", ours: []string{"stream/event", "stream/log"}, never: []string{caddy, "net/..."}},
	{packages: "stream/log/file", ours: []string{"stream/event", "stream/log"}, never: []string{caddy, "net/..."}},
	{packages: "stream/log/redis", ours: []string{"stream/event", "stream/log", "stream/redisconn"}, never: []string{caddy, "net/http"}},
	{packages: "stream/conn", never: []string{caddy, zap, "net/http"}},
	{packages: "stream/access", ours: []string{"stream/event"}, never: []string{caddy, "net/http"}},
	{packages: "stream/bus", never: []string{caddy, "net/..."}},
	{packages: "stream/bus/redis", ours: []string{"stream/bus", "stream/redisconn"}, never: []string{caddy, zap, "net/http"}},
	{packages: "stream/presence", ours: []string{"stream/event", "stream/bus"}, never: []string{caddy, "net/..."}},
	{packages: "stream", ours: []string{"stream/event", "stream/format", "stream/log", "stream/conn", "stream/access"},
		never: []string{caddy, "net/http"}},

	// The ways in: they see no stream.
	{packages: "webhook/decode", ours: []string{"stream/event"}, never: []string{caddy, "net/http"}},
	{packages: "webhook", ours: []string{"stream/event", "webhook/decode"}, never: []string{caddy}},
	{packages: "webhook/redis", ours: []string{"stream/event", "stream/redisconn", "webhook/decode"}, never: []string{caddy}},
	{packages: "webhook/tap", ours: []string{"stream/event", "webhook/decode"}, never: []string{caddy}},
	{packages: "webhook/pull", ours: []string{"stream/event", "webhook/decode"}, never: []string{caddy}},

	// The module of Caddy.
	{packages: "caddymodule/operator", ours: []string{"stream/event", "stream"}, never: []string{caddy}},
	{packages: "caddymodule/version", never: []string{caddy, "net/..."}},
	{packages: "caddymodule/suggest", never: []string{caddy, "net/..."}},
	// Of Caddy, what it takes to put a request through its reverse proxy.
	{packages: "caddymodule/forwardauth", ours: []string{"stream/event", "stream/access", "webhook/decode", "caddymodule/suggest", "caddymodule/version"},
		never: []string{caddy}, but: []string{"github.com/caddyserver/caddy/v2", "github.com/caddyserver/caddy/v2/modules/caddyhttp",
			"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"}},
	{packages: "caddymodule/endpoint/...", ours: []string{"stream/event", "stream/format", "stream/access", "stream/bus", "stream/presence", "stream", "caddymodule/forwardauth", "."},
		never: []string{caddy}},
	{packages: "caddymodule", ours: []string{"stream/...", "webhook/...", "caddymodule/..."}},

	// The commands.
	{packages: "cmd/sidestream/...", never: []string{caddy}},
	{packages: "cmd/sidestream", ours: []string{"stream/...", "webhook/...", "caddymodule/...", "cmd/sidestream/..."}},
	{packages: "cmd/bench/plaincaddy"},
	{packages: "cmd/bench/...", ours: []string{"."}, never: []string{caddy}},
}

// listed is what "go list" tells of a package.
type listed struct {
	ImportPath string
	Imports    []string // without those of its tests
}

// layerOf finds the row of a package.
func layerOf(name string) (found layer, ok bool) {
	for _, l := range layers {
		if l.packages == name {
			return l, true
		}
		if matches(l.packages, name) && (!ok || len(l.packages) > len(found.packages)) {
			found, ok = l, true
		}
	}
	return found, ok
}

// matches tells whether a pattern stands for a package.
func matches(pattern, name string) bool {
	if above, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == above || strings.HasPrefix(name, above+"/")
	}
	return name == pattern
}

func matchesAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if matches(p, name) {
			return true
		}
	}
	return false
}

// allows tells whether a package of the row may import another.
func (l layer) allows(imported string) bool {
	ours, ok := strings.CutPrefix(imported, module)
	if !ok {
		return !matchesAny(l.never, imported) || matchesAny(l.but, imported)
	}
	if testSupport(ours) {
		return false
	}
	for _, may := range l.ours {
		if may == "." {
			may = l.packages
		}
		if matches(may, ours) {
			return true
		}
	}
	return false
}

// testSupport tells packages that only tests import.
func testSupport(name string) bool { return strings.HasSuffix(name, "test") }

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		row, ok := layerOf(name)
		switch {
		case testSupport(name):
			continue
		case !ok:
			t.Errorf("package %s has no row in the table of imports_test.go", name)
			continue
		}
		for _, imported := range p.Imports {
			if !row.allows(imported) {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	}
}

// packages lists those of this module, as they are on Linux.
func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// The table is itself in order: no row allows a package of a later row, so
// nothing that it allows goes round in a circle.
func TestTableOfImports(t *testing.T) {
	for i, row := range layers {
		for _, later := range layers[i+1:] {
			if row.allows(module + strings.TrimSuffix(later.packages, "/...")) {
				t.Errorf("the row of %s allows %s, which comes later", row.packages, later.packages)
			}
		}
	}
	for _, test := range []struct {
		name, imported string
		allowed        bool
	}{
		{"stream", module + "stream/log", true},
		{"stream", module + "stream/log/file", false},
		{"stream", module + "webhook", false},
		{"stream/log/file", module + "stream/log", true},
		{"stream/log/redis", "net", true},
		{"stream/format", "net", false},
		{"stream/format", "net/http", false},
		{"stream/conn", "go.uber.org/zap", false},
		{"stream/log", module + "stream/redisconn/redistest", false},
		{"caddymodule/forwardauth", "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode", false},
		{"caddymodule/forwardauth", "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy", true},
		{"caddymodule/endpoint/tambur", module + "caddymodule", false},
	} {
		if row, ok := layerOf(test.name); !ok || row.allows(test.imported) != test.allowed {
			t.Errorf("%s imports %s: allowed %v", test.name, test.imported, !test.allowed)
		}
	}
	if row, ok := layerOf("stream/other"); ok {
		t.Errorf("a package that nobody thought of has the row of %s", row.packages)
	}
}
