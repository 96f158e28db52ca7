package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// errURL is the error of text that is no address of a Redis. It does not
// repeat the text, which may hold a password.
var errURL = errors.New("not an address of a Redis; want redis://user:password@host:port/db, " +
	"rediss:// for TLS, redis+sentinel://host,host/master/db or redis+cluster://host,host")

// ParseURL reads the options that an address holds:
//
//	redis://user:password@host:6379/0
//	redis+sentinel://user:password@host:26379,host,host/master/0?sentinel_username=&sentinel_password=
//	redis+cluster://user:password@host:6379,host
//
// Each may begin with rediss, for TLS with the system's roots. Names and
// passwords are percent-encoded where they hold any of /?#@:%. Ports may be
// left out.
func ParseURL(s string) (Options, error) {
	var o Options
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || strings.ContainsAny(s, "# \t\r\n") {
		return o, errURL
	}
	base, kind, _ := strings.Cut(scheme, "+")
	switch base {
	case "redis":
	case "rediss":
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	default:
		return o, errURL
	}
	rest, query, _ := strings.Cut(rest, "?")
	hosts, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(hosts, '@'); at >= 0 {
		user, password, _ := strings.Cut(hosts[:at], ":")
		var err, err2 error
		o.Username, err = url.PathUnescape(user)
		o.Password, err2 = url.PathUnescape(password)
		if err != nil || err2 != nil {
			return Options{}, errURL
		}
		hosts = hosts[at+1:]
	}
	port, db := "6379", path
	switch kind {
	case "":
	case "sentinel":
		port = "26379"
		var master string
		master, db, _ = strings.Cut(path, "/")
		var err error
		if o.Master, err = url.PathUnescape(master); err != nil || o.Master == "" {
			return Options{}, errURL
		}
	case "cluster":
		o.Cluster = true
	default:
		return Options{}, errURL
	}
	for host := range strings.SplitSeq(hosts, ",") {
		addr, err := hostPort(host, port)
		if err != nil {
			return Options{}, err
		}
		o.Addrs = append(o.Addrs, addr)
	}
	if kind == "" && len(o.Addrs) > 1 {
		return Options{}, fmt.Errorf("several hosts need redis+sentinel:// or redis+cluster://: %w", errURL)
	}
	if db != "" {
		n, err := strconv.Atoi(db)
		if err != nil || n < 0 || o.Cluster && n > 0 {
			return Options{}, errURL
		}
		o.DB = n
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return Options{}, errURL
	}
	for name, value := range values {
		switch {
		case name == "sentinel_username" && o.Master != "":
			o.SentinelUsername = value[0]
		case name == "sentinel_password" && o.Master != "":
			o.SentinelPassword = value[0]
		default:
			return Options{}, fmt.Errorf("a Redis address does not know the parameter %q", name)
		}
	}
	return o, nil
}

// hostPort adds the port to a host that has none.
func hostPort(host, port string) (string, error) {
	if host == "" {
		return "", errURL
	}
	if h, p, err := net.SplitHostPort(host); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 || h == "" {
			return "", errURL
		}
		return net.JoinHostPort(h, p), nil
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") && net.ParseIP(host[1:len(host)-1]) != nil {
		host = host[1 : len(host)-1]
	} else if strings.ContainsAny(host, ":[]@") {
		return "", errURL
	}
	return net.JoinHostPort(host, port), nil
}
