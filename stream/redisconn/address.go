package redisconn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Address says where a Redis is and who asks it. Parse makes one.
type Address struct {
	// Addrs are host:port of the Redis; of the sentinels if Master is set; of
	// some nodes of a Redis Cluster if Cluster is; or the path of a Unix socket.
	Addrs []string
	// Unix: Addrs is the path of a socket.
	Unix bool
	// Master is the name under which sentinels know the master.
	Master string
	// Cluster: Addrs are nodes of a Redis Cluster.
	Cluster bool
	// DB is the number of the database; a Cluster has only 0.
	DB int

	Username, Password                 string
	SentinelUsername, SentinelPassword string
	// ClientName is what CLIENT LIST of Redis shows. Default: sidestream.
	ClientName string
	// RESP2: the server, or a proxy before it, cannot speak the protocol of today.
	RESP2 bool
	// TLS, if set, is used for every connection. Without a ServerName, each
	// server must have a certificate for the name or address that is dialled.
	TLS *tls.Config
}

// errURL is the error of text that is no address of a Redis. It does not repeat
// the text, which may hold a password.
var errURL = errors.New("the address of Redis cannot be read; write redis://user:password@host:6379/0, " +
	"rediss:// for TLS, redis+sentinel://host,host/master, redis+cluster://host,host or unix:///path/to/socket, " +
	"with the special characters of the password as %40 for @, %2F for /, %23 for #")

// Parse reads an address:
//
//	redis://user:password@host:6379/0
//	redis+sentinel://user:password@host:26379,host,host/master/0?sentinel_username=&sentinel_password=
//	redis+cluster://user:password@host:6379,host
//	unix://user:password@/path/to/socket?db=0
//
// Each of the first three may begin with rediss, for TLS with the system's roots;
// ?skip_verify then takes any certificate. valkey and valkeys mean the same.
// Names and passwords are percent-encoded where they hold any of /?#@:%. Ports
// may be left out.
//
// Other spellings of the same that configurations of old have: ?db= for the
// database, ?addr=host:port for one more address, ?master_set= for the name that
// sentinels know, ?client_name=, ?protocol=2. The parameters client_cache,
// max_retries, dial_timeout and write_timeout are read and change nothing.
//
// Errors say nothing of what the text holds: it may be a part of the password.
func Parse(text string) (Address, error) {
	if text == "" {
		return Address{}, errors.New("the URL of Redis is missing, as in redis://localhost:6379")
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || strings.ContainsAny(text, "# \t\r\n") {
		return Address{}, errURL
	}
	var a Address
	base, kind, _ := strings.Cut(scheme, "+")
	switch base {
	case "redis", "valkey":
	case "rediss", "valkeys":
		a.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	case "unix":
		a.Unix = true
	default:
		return Address{}, errURL
	}
	rest, query, _ := strings.Cut(rest, "?")
	hosts, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(hosts, '@'); at >= 0 {
		user, password, _ := strings.Cut(hosts[:at], ":")
		var err, err2 error
		a.Username, err = url.PathUnescape(user)
		a.Password, err2 = url.PathUnescape(password)
		if err != nil || err2 != nil {
			return Address{}, errURL
		}
		hosts = hosts[at+1:]
	}
	if err := a.locate(kind, hosts, path); err != nil {
		return Address{}, err
	}
	if err := a.parameters(query); err != nil {
		return Address{}, err
	}
	return a, a.check()
}

// UserAlone tells whether an address names a user and says nothing of a password,
// not even that it is empty: often the password was written where the user belongs.
func UserAlone(text string) bool {
	_, rest, _ := strings.Cut(text, "://")
	hosts, _, _ := strings.Cut(rest, "/")
	at := strings.LastIndexByte(hosts, '@')
	return at > 0 && !strings.Contains(hosts[:at], ":")
}

// locate reads what stands behind the user: hosts, and a path.
func (a *Address) locate(kind, hosts, path string) error {
	port, db := "6379", path
	switch {
	case a.Unix:
		if kind != "" || hosts != "" || path == "" {
			return errURL
		}
		socket, err := url.PathUnescape("/" + path)
		a.Addrs = []string{socket}
		if err != nil {
			return errURL
		}
		return nil
	case kind == "":
	case kind == "sentinel":
		port = "26379"
		var master string
		master, db, _ = strings.Cut(path, "/")
		var err error
		if a.Master, err = url.PathUnescape(master); err != nil || a.Master == "" {
			return errURL
		}
	case kind == "cluster":
		a.Cluster = true
	default:
		return errURL
	}
	names := strings.Split(hosts, ",")
	if kind == "" && len(names) > 1 {
		return fmt.Errorf("several hosts need redis+sentinel:// or redis+cluster://: %w", errURL)
	}
	for _, host := range names {
		if kind == "" && (host == "" || host[0] == ':') {
			host = "localhost" + host
		}
		addr, err := hostPort(host, port)
		if err != nil {
			return err
		}
		a.Addrs = append(a.Addrs, addr)
	}
	return a.database(db)
}

func (a *Address) database(text string) error {
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return errURL
	}
	a.DB = n
	return nil
}

// parameters reads what stands behind the question mark.
func (a *Address) parameters(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errURL
	}
	for name, value := range values {
		switch name {
		case "sentinel_username":
			a.SentinelUsername = value[0]
		case "sentinel_password":
			a.SentinelPassword = value[0]
		case "master_set":
			a.Master = value[0]
		case "client_name":
			a.ClientName = value[0]
		case "db":
			err = a.database(value[0])
		case "addr":
			for _, host := range value {
				addr, err := hostPort(host, "6379")
				if err != nil {
					return err
				}
				a.Addrs = append(a.Addrs, addr)
			}
		case "skip_verify":
			skip := value[0] == ""
			if !skip {
				if skip, err = strconv.ParseBool(value[0]); err != nil {
					err = errURL
				}
			}
			if a.TLS != nil {
				a.TLS.InsecureSkipVerify = skip //nolint:gosec // it was asked for
			}
		case "protocol":
			a.RESP2 = value[0] == "2"
		case "client_cache", "max_retries", "dial_timeout", "write_timeout":
		default:
			err = fmt.Errorf("the address of Redis has a parameter %q; those that it may have are skip_verify, sentinel_username, "+
				"sentinel_password, client_name and db", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// check refuses what contradicts itself.
func (a *Address) check() error {
	switch {
	case a.Cluster && a.DB != 0:
		return fmt.Errorf("a Redis Cluster has no databases but 0: %w", errURL)
	case a.Cluster && a.Master != "", a.Unix && (a.Master != "" || len(a.Addrs) > 1):
		return fmt.Errorf("sentinels know no cluster and no socket: %w", errURL)
	case a.Master == "" && (a.SentinelUsername != "" || a.SentinelPassword != ""):
		return errors.New("the address of Redis has a user for sentinels and no sentinels; write redis+sentinel://host,host/master")
	}
	return nil
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

// String is the address for logs: without user, password and parameters.
func (a Address) String() string {
	scheme := "redis"
	switch {
	case a.Unix:
		return "unix://" + strings.Join(a.Addrs, ",")
	case a.TLS != nil:
		scheme = "rediss"
	}
	path := ""
	switch {
	case a.Master != "":
		scheme, path = scheme+"+sentinel", "/"+a.Master
	case a.Cluster:
		scheme += "+cluster"
	}
	if a.DB != 0 {
		path += "/" + strconv.Itoa(a.DB)
	}
	return scheme + "://" + strings.Join(a.Addrs, ",") + path
}

// secrets are what no log and no error may say.
func (a *Address) secrets() []string {
	return slices.DeleteFunc([]string{a.Password, a.SentinelPassword}, func(s string) bool { return s == "" })
}
