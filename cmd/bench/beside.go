//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// peer is a server of the user's own that runs already: what they use today. It is
// measured beside Sidestream, and must pass on what is posted as it came.
type peer struct {
	name            string
	streams, posts  netip.AddrPort
	stream, publish string // paths with {channel} in them
	host            string
}

// parsePeer reads the flag -beside: the name, the URL of a channel's stream, and
// where a channel's messages are posted.
func parsePeer(text string) (p peer, err error) {
	name, urls, ok := strings.Cut(text, "=")
	stream, publish, ok2 := strings.Cut(urls, ",")
	if !ok || !ok2 || name == "" {
		return p, fmt.Errorf("%q is not NAME=STREAM-URL,PUBLISH-URL", text)
	}
	p.name = name
	if p.streams, p.stream, p.host, err = splitTemplate(stream); err != nil {
		return p, err
	}
	p.posts, p.publish, _, err = splitTemplate(publish)
	return p, err
}

// splitTemplate takes a URL with {channel} apart. Only what is on this machine can
// be measured.
func splitTemplate(text string) (addr netip.AddrPort, path, host string, err error) {
	if !strings.Contains(text, "{channel}") {
		return addr, "", "", fmt.Errorf("%s has no {channel}", text)
	}
	u, err := url.Parse(strings.ReplaceAll(text, "{channel}", channelMark))
	if err != nil {
		return addr, "", "", err
	}
	ip, err := netip.ParseAddr(u.Hostname())
	port, err2 := strconv.ParseUint(u.Port(), 10, 16)
	if u.Scheme != "http" || err != nil || err2 != nil || !ip.Is4() || !ip.IsLoopback() {
		return addr, "", "", fmt.Errorf("%s does not begin like http://127.0.0.1:8080/", text)
	}
	path = strings.ReplaceAll(u.RequestURI(), channelMark, "{channel}")
	return netip.AddrPortFrom(ip, uint16(port)), path, u.Host, nil
}

// channelMark stands for a channel while a URL is taken apart.
const channelMark = "channel-of-the-benchmark"

// server is the peer as one that is measured.
func (p peer) server() (*server, error) {
	pids, err := listeners(p.streams.Port())
	if err != nil {
		return nil, err
	}
	if len(pids) == 0 {
		return nil, fmt.Errorf("%s: no process of this user listens at %s", p.name, p.streams)
	}
	return &server{
		name: p.name, addr: p.streams, pid: pids[0], workers: pids[1:], posts: p.posts,
		publish: func(channel int) string { return fill(p.publish, channel) },
		request: func(channel int) []byte {
			return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", fill(p.stream, channel), p.host)
		},
	}, nil
}

func fill(template string, channel int) string {
	return strings.ReplaceAll(template, "{channel}", strconv.Itoa(channel))
}

// driveBeside puts a workload on the peers.
func (b *bench) driveBeside(ctx context.Context, f figures, w workload) error {
	for _, p := range b.beside {
		s, err := p.server()
		if err == nil {
			err = b.driveInto(ctx, f, p.name, s, w)
		}
		if err != nil {
			return fmt.Errorf("beside: %w", err)
		}
	}
	return nil
}

// besideText adds what the peers have reached to a cell of the table.
func (b *bench) besideText(of func(name string) string) string {
	text := ""
	for _, p := range b.beside {
		text += "; " + p.name + " " + of(p.name)
	}
	return text
}

// listeners are the processes that listen on a TCP port, the first one first.
func listeners(port uint16) ([]int, error) {
	sockets := map[string]bool{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // without IPv6
		}
		if err != nil {
			return nil, err
		}
		end := fmt.Sprintf(":%04X", port)
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 9 && strings.HasSuffix(f[1], end) && f[3] == "0A" {
				sockets["socket:["+f[9]+"]"] = true
			}
		}
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && sockets[to] {
			pid, _ := strconv.Atoi(strings.Split(link, "/")[2])
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}
