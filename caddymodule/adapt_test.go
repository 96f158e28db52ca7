package caddymodule

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

var update = flag.Bool("update", false, "write the JSON of the adapt cases anew")

const dashes = "\n----------\n"

// TestAdapt adapts every Caddyfile in testdata/adapt. Below ten dashes stands
// the JSON that must come out, or a part of the error.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(content), dashes)
			got, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input+"\n"), map[string]any{"filename": "Caddyfile"})
			want = strings.TrimSpace(want)
			if !strings.HasPrefix(want, "{") && want != "" {
				if err == nil {
					t.Fatalf("it was taken; want an error with %q", want)
				}
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want one with %q", err, want)
				}
				if !strings.Contains(err.Error(), "Caddyfile:") {
					t.Errorf("error %q has no file and line", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range warnings {
				if w.Directive == "sidestream" {
					t.Error(w)
				}
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, got, "", "\t"); err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(input+dashes+pretty.String()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if pretty.String() != want {
				t.Errorf("got\n%s\nwant\n%s", pretty.String(), want)
			}
		})
	}
}

// TestConfigsProvision takes adapted configurations as far as Caddy does
// before it runs them.
func TestConfigsProvision(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	for _, name := range []string{"HOOK_SECRET", "MM_TOKEN", "MM_TOKEN_2"} {
		t.Setenv(name, "0123456789012345678901234567890123456789")
	}
	t.Setenv("WHSEC", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
	for _, name := range []string{"short", "long", "auth_none"} {
		content, err := os.ReadFile("testdata/adapt/" + name + ".caddyfiletest")
		if err != nil {
			t.Fatal(err)
		}
		_, adapted, _ := strings.Cut(string(content), dashes)
		var config caddy.Config
		if err := json.Unmarshal([]byte(adapted), &config); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&config); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
