package redis

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// address is how to reach Redis.
type address struct {
	option  rueidis.ClientOption
	network string // tcp or unix
	secrets []string
	shown   string // for logs: no user, no password, no query
}

const (
	// connectTimeout bounds one attempt to connect.
	connectTimeout = 5 * time.Second
	// sentinelRefresh is how often the sentinels are asked who is master, in
	// case that their announcement was missed.
	sentinelRefresh = 5 * time.Second
)

var errURL = errors.New("the URL of Redis cannot be read; write redis://user:password@host:6379/0 " +
	"(rediss for TLS), with the special characters of the password as %40 for @, %2F for /, %23 for #")

// parseAddress reads where Redis is. Its errors quote nothing of the URL: what
// is wrong with it may be a part of the password.
func parseAddress(cfg *Config) (address, error) {
	if cfg.URL == "" {
		return address{}, errors.New("the URL of Redis is missing, as in redis://localhost:6379")
	}
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return address{}, errURL
	}
	option, err := rueidis.ParseURL(cfg.URL)
	if err != nil {
		return address{}, errURL
	}
	a := address{option: option, network: "tcp", shown: u.Scheme + "://" + u.Host}
	if u.Scheme == "unix" {
		a.network, a.shown = "unix", "unix://"+u.Path
	}
	a.secrets = append(a.secrets, option.Password)
	if u.User != nil {
		// A password alone is often written where the user belongs.
		if _, ok := u.User.Password(); !ok && u.User.Username() != "" {
			return address{}, errors.New("the URL of Redis has a user but no password; a password alone is written redis://:password@host")
		}
	}
	o := &a.option
	if o.TLSConfig != nil {
		// The name in the certificate is that of the server dialled, which
		// with several addresses need not be the first of the URL.
		o.TLSConfig.ServerName = ""
	}
	if s := cfg.Sentinel; s != nil {
		if s.Master == "" {
			return address{}, errors.New("sentinel: the name of the master is missing")
		}
		o.Sentinel.MasterSet, o.Sentinel.Username, o.Sentinel.Password = s.Master, s.Username, s.Password
		a.secrets = append(a.secrets, s.Password)
	}
	if o.Sentinel.MasterSet != "" {
		o.Sentinel.TLSConfig, o.Sentinel.TopologyRefreshInterval = o.TLSConfig, sentinelRefresh
	}
	if o.ClientName == "" {
		o.ClientName = "sidestream"
	}
	o.Dialer.Timeout = connectTimeout
	o.ConnWriteTimeout = connectTimeout
	o.DisableCache, o.DisableRetry = true, true
	o.PipelineMultiplex = -1
	o.RingScaleEachConn = 8
	o.ReadBufferEachConn, o.WriteBufferEachConn = 64<<10, 16<<10
	return a, nil
}

// useTLS replaces the usual configuration of TLS, if the URL asks for TLS.
func (a *address) useTLS(c *tls.Config) {
	if c != nil && a.option.TLSConfig != nil {
		a.option.TLSConfig = c.Clone()
		if a.option.Sentinel.MasterSet != "" {
			a.option.Sentinel.TLSConfig = a.option.TLSConfig
		}
	}
}

// host is the name that a certificate of the server at addr must have.
func host(addr string) string {
	h, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return h
}

// scrub is err without passwords in its text. What it wraps is still there for
// errors.Is.
func (a *address) scrub(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, secret := range a.secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return &scrubbed{text, err}
}

type scrubbed struct {
	text string
	err  error
}

func (e *scrubbed) Error() string        { return e.text }
func (e *scrubbed) Is(target error) bool { return errors.Is(e.err, target) }
