package redis

import (
	"errors"
	"time"

	"github.com/seed-078801ba/sidestream/stream/redisconn"
)

// connectTimeout bounds one attempt to connect.
const connectTimeout = 5 * time.Second

// tuning is how a source uses its connections.
var tuning = redisconn.Tuning{
	Timeout: connectTimeout, Detect: true, Pipeline: 8, ReadBuffer: 64 << 10, WriteBuffer: 16 << 10,
}

// parseAddress reads where Redis is. Its errors quote nothing of the URL: what
// is wrong with it may be a part of the password.
func parseAddress(cfg *Config) (redisconn.Address, error) {
	a, err := redisconn.Parse(cfg.URL)
	if err != nil {
		return a, err
	}
	if redisconn.UserAlone(cfg.URL) {
		return a, errors.New("the URL of Redis has a user but no password; a password alone is written redis://:password@host")
	}
	if s := cfg.Sentinel; s != nil {
		if s.Master != "" {
			a.Master = s.Master
		}
		a.SentinelUsername, a.SentinelPassword = s.Username, s.Password
		if a.Master == "" {
			return a, errors.New("sentinel: the name of the master is missing")
		}
		if a.Cluster || a.Unix {
			return a, errors.New("sentinel: sentinels know no cluster and no socket; write redis+sentinel://host,host/master")
		}
	}
	return a, nil
}
