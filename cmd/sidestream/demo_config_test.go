package main

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/seed-078801ba/sidestream/cmd/sidestream/chatbackend"
)

func TestFreePlace(t *testing.T) {
	p, err := freePlace("127.0.0.1:0")
	if err != nil || p.port == "0" || !slices.Equal(p.binds, []string{"127.0.0.1"}) || p.url("/x") != "http://127.0.0.1:"+p.port+"/x" {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = freePlace("localhost:0")
	if err != nil || p.host != "127.0.0.1" || p.binds[0] != "127.0.0.1" {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = freePlace(":0")
	if err != nil || p.host != "127.0.0.1" || len(p.binds) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, listen := range []string{"", "8080", "localhost:", "127.0.0.1:x", "no such host:1"} {
		if p, err := freePlace(listen); err == nil {
			t.Errorf("%q was taken: %+v", listen, p)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, host := range []string{"localhost", "127.0.0.1", ""} {
		if _, err := freePlace(host + ":" + port); err == nil || !strings.Contains(err.Error(), "--listen") {
			t.Errorf("a port that is taken, on %q: %v", host, err)
		}
	}
}

// The demo's Caddyfile is one, whatever its parts are.
func TestDemoCaddyfile(t *testing.T) {
	for _, binds := range [][]string{nil, {"127.0.0.1"}, {"127.0.0.1", "::1"}} {
		text := demoConfig{
			front: place{binds: binds, host: "127.0.0.1", port: "8080"}, backend: "127.0.0.1:3000",
			secret: chatbackend.NewSecret(), folder: `/tmp/a folder "of mine"`,
		}.caddyfile()
		_, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
		if err != nil {
			t.Errorf("binds %v: %v\n%s", binds, err, text)
		}
		for _, w := range warnings {
			if !strings.Contains(w.Message, "not formatted") {
				t.Errorf("binds %v: %v", binds, w)
			}
		}
	}
}
