package redis

import (
	"errors"
	"strings"
	"testing"

	"github.com/redis/rueidis"

	"github.com/seed-078801ba/sidestream/stream/log"
	"github.com/seed-078801ba/sidestream/stream/redisconn"
)

func TestErrors(t *testing.T) {
	r := &Log{options: Options{Address: redisconn.Address{Password: "hunter2", SentinelPassword: "swordfish"}}}
	for text, want := range map[string]error{
		"MISCONF Errors writing to the AOF file: No space left on device":                                 log.ErrFull,
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk": log.ErrFailed,
		"OOM command not allowed when used memory > 'maxmemory'.":                                         log.ErrFailed,
		"READONLY You can't write against a read only replica.":                                           log.ErrFailed,
		"NOREPLICAS Not enough good replicas to write.":                                                   log.ErrFailed,
		"ERR unknown command 'AUTH', with args beginning with: 'hunter2' 'swordfish'":                     log.ErrFailed,
		rueidis.ErrClosing.Error():                                                                        log.ErrFailed,
	} {
		err := r.wrap("appending", errors.New(text))
		if !errors.Is(err, want) || errors.Is(err, log.ErrFull) != (want == log.ErrFull) {
			t.Errorf("%q is %v", text, err)
		}
		if !strings.HasPrefix(err.Error(), "appending: "+text[:10]) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "swordfish") {
			t.Errorf("%q is shown as %v", text, err)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{
		{}, {Hub: "h"}, {Address: redisconn.Address{Addrs: []string{"a:1"}}},
	} {
		if _, err := Open(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
