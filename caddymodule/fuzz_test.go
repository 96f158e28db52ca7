package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/valyala/fastjson"
)

// FuzzCaddyfile looks for a block that makes the parser panic, or that opens
// streams to everybody without saying so.
func FuzzCaddyfile(f *testing.F) {
	cases, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range cases {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		input, _, _ := strings.Cut(string(content), dashes)
		if _, block, ok := strings.Cut(input, "sidestream"); ok {
			if _, block, ok = strings.Cut(block, "{\n"); ok {
				f.Add(strings.TrimRight(block, "}\n\t "))
			}
		}
	}
	f.Fuzz(func(t *testing.T, block string) {
		if strings.Contains(block, "import") || strings.Contains(block, "{$") {
			return // the lexer's, and they read files and the environment
		}
		config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(
			[]byte(":80 {\nsidestream localhost:3000 {\n"+block+"\n}\n}\n"), map[string]any{"filename": "Caddyfile"})
		if err != nil {
			return
		}
		v, err := fastjson.ParseBytes(config)
		if err != nil {
			t.Fatal(err)
		}
		for _, route := range v.GetArray("apps", "http", "servers", "srv0", "routes") {
			for _, handler := range route.GetArray("handle") {
				if string(handler.GetStringBytes("handler")) != "sidestream" {
					continue
				}
				if auth := handler.Get("auth"); auth == nil || !(auth.Exists("uri") || auth.Exists("preset") || auth.GetBool("none")) {
					t.Errorf("no auth: %s", handler)
				}
			}
		}
	})
}
