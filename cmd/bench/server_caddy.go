//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// site is a Caddyfile with one site in it.
type site struct {
	tls   bool
	quiet bool   // without an access log
	body  string // its directives

	listen, dir string
}

// sidestreamSite is the directive under test. Messages pass through as they
// come, so that its clients get the same bytes as those of the sticks.
type sidestreamSite struct {
	store   string        // memory or file
	quiet   bool          // without an access log
	auth    string        // address of the backend to ask; default: nobody
	recheck time.Duration // of open streams; default: Sidestream's
	events  int           // history of a channel; default: 1000
	// neverRetries closes the connection of each webhook.
	neverRetries bool
	more         string // directives
	// app is the address of an app that everything else goes to.
	app string
}

func (s sidestreamSite) directives() string {
	backend, auth, events := "", "auth none", 1000
	if s.auth != "" {
		backend, auth = s.auth, "auth GET /room/{channel}.json"
	}
	if s.recheck > 0 {
		auth += fmt.Sprintf(" {\n\t\t\trecheck %s\n\t\t}", s.recheck)
	}
	if s.events > 0 {
		events = s.events
	}
	retries := ""
	if s.neverRetries {
		retries = "never_retries"
	}
	app := ""
	if s.app != "" {
		app = "reverse_proxy " + s.app
	}
	return fmt.Sprintf(`sidestream %s {
		webhook /publish {
			preset campfire_classic
			verify none
			%s
		}
		%s
		history {
			store %s
			per_channel %d
		}
		%s
	}
	%s`, backend, retries, auth, s.store, events, s.more, app)
}

func (s site) caddyfile() string {
	scheme, extra := "http", ""
	if s.tls {
		scheme, extra = "https", "tls internal"
	}
	_, port, _ := strings.Cut(s.listen, ":")
	accessLog := ""
	if !s.quiet {
		// A log that is rolled is packed, which is no part of what is measured.
		accessLog = fmt.Sprintf("log {\n\t\toutput file %s {\n\t\t\troll_disabled\n\t\t}\n\t}", filepath.Join(s.dir, "access.log"))
	}
	address := ":" + port
	if s.tls {
		address = "127.0.0.1:" + port // a certificate needs a name
	}
	return fmt.Sprintf(`{
	admin unix/%s
	persist_config off
	auto_https disable_redirects
	skip_install_trust
	storage file_system %s
	log {
		level WARN
	}
}
%s://%s {
	bind 127.0.0.1
	%s
	%s
	%s
}
`, socketOf(s.dir), s.dir, scheme, address, accessLog, extra, s.body)
}

func socketOf(dir string) string { return filepath.Join(dir, "admin.sock") }

// startCaddy runs one of the two Caddy binaries.
func (b *bench) startCaddy(ctx context.Context, name, binary string, st site) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	if st.dir, err = b.newDir(name); err != nil {
		return nil, err
	}
	st.listen = addr.String()
	file := filepath.Join(st.dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(st.caddyfile()), 0o644); err != nil {
		return nil, err
	}
	return start(ctx, server{
		name: name, addr: addr, dir: st.dir, admin: newAdmin(socketOf(st.dir)), site: st,
		publish: func(int) string { return "/publish" },
	}, binary, "run", "--config", file, "--adapter", "caddyfile")
}

func (b *bench) startSidestream(ctx context.Context, s sidestreamSite) (*server, error) {
	return b.startCaddy(ctx, "sidestream-"+s.store, b.sidestream, site{quiet: s.quiet, body: s.directives()})
}

func (b *bench) startPlainCaddy(ctx context.Context, directive string) (*server, error) {
	return b.startCaddy(ctx, "caddy", b.plainCaddy, site{body: directive})
}

// build makes the two Caddy binaries.
func (b *bench) build(ctx context.Context) error {
	const module = "github.com/seed-078801ba/sidestream/cmd/"
	for target, source := range map[*string]string{&b.sidestream: "sidestream", &b.plainCaddy: "bench/plaincaddy"} {
		if target == &b.sidestream && b.binary != "" {
			*target = b.binary
			continue
		}
		*target = filepath.Join(b.dir, filepath.Base(source))
		b.progress("building %s", source)
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", *target, module+source).CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w: %s", source, err, out)
		}
	}
	return nil
}
