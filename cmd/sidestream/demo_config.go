package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/seed-078801ba/sidestream/cmd/sidestream/chatbackend"
)

// place is an address that Caddy is to listen on.
type place struct {
	binds []string // hosts; none: all of the machine's
	host  string   // by which this process reaches it
	port  string
}

func (p place) url(path string) string { return "http://" + net.JoinHostPort(p.host, p.port) + path }

// freePlace finds out what to listen on, and makes sure that nobody else does. Caddy
// would share a port with another Caddy and say nothing, and each of them would get
// half of the requests.
func freePlace(listen string) (place, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port == "" {
		return place{}, fmt.Errorf("--listen wants HOST:PORT or :PORT, not %q", listen)
	}
	p := place{host: host, port: port}
	candidates := []string{host}
	switch host {
	case "":
		p.host = "127.0.0.1"
	case "localhost": // which is two addresses, and browsers take either
		p.host = "127.0.0.1"
		candidates = []string{"127.0.0.1", "::1"}
	}
	for _, c := range candidates {
		l, err := net.Listen("tcp", net.JoinHostPort(c, p.port))
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return place{}, fmt.Errorf("port %s is taken by another program: end that one, or choose another port, such as --listen localhost:8081", p.port)
		case err != nil && len(p.binds) > 0:
			continue // this machine has no IPv6
		case err != nil:
			return place{}, fmt.Errorf("listening on %s: %w", listen, err)
		}
		p.port = fmt.Sprint(l.Addr().(*net.TCPAddr).Port) // 0 asks for any
		l.Close()
		if c != "" {
			p.binds = append(p.binds, c)
		}
	}
	return p, nil
}

// demoConfig is what the demo's Caddyfile is made of.
type demoConfig struct {
	front   place
	backend string // address of the chat app
	secret  string // of its webhooks
	folder  string // for what Caddy keeps
}

func (c demoConfig) caddyfile() string {
	bind := ""
	if len(c.front.binds) > 0 {
		bind = "bind " + strings.Join(c.front.binds, " ")
	}
	return fmt.Sprintf(`{
	admin off
	persist_config off
	storage file_system %q
	storage_check off
	storage_clean_interval off
	log {
		format console
		level WARN
		exclude admin
	}
	servers {
		protocols h1
	}
}
http://:%s {
	%s
	sidestream %s {
		webhook /hooks/chat {
			preset campfire_classic
			verify standardwebhooks %s
		}
		auth GET /room/{channel}.json {
			cookies %s
			identity GET /users/me.json
			user json user.id
		}
		presence {
			grace 3s
		}
		position GET /room/{channel}/recent.json
		history {
			store memory
		}
	}
	reverse_proxy %s
}
`, c.folder, c.front.port, bind, c.backend, c.secret, chatbackend.SessionCookie, c.backend)
}

// welcome says what can be tried.
func welcome(site string, users []chatbackend.User) string {
	alice, bob := users[0].Token, users[1].Token
	return strings.NewReplacer("{site}", site, "{alice}", alice, "{bob}", bob).Replace(`
A chat app, with Sidestream in front of it:

    {site}     open it in two windows, and type

Listen as Alice, in another terminal:

    curl -N -u {alice}:x {site}/room/1/live.json                       # Campfire, one room
    curl -N -u {alice}:  '{site}/flows?filter=1,2'                     # Flowdock, JSON
    curl -N -u {alice}:  -H 'Accept: text/event-stream' '{site}/flows?filter=1,2'
    curl -N -u {alice}:  '{site}/flows?filter=1&active=true&presence=1' # and who is there
    go run ./cmd/sidestream tail --token {alice} '{site}/flows?filter=1,2'

Speak as Bob:

    curl -u {bob}:x -H 'Content-Type: application/json' \
         -d '{"message":{"body":"hello"}}' {site}/room/1/speak.json

Bob may not listen to room 3, and nobody may without a token:

    curl -i -u {bob}:x {site}/room/3/live.json
    curl -i {site}/room/1/live.json

Ctrl-C ends it.
`)
}
