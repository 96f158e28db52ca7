package log

import (
	"errors"
	"strings"
	"testing"

	"github.com/redis/rueidis"
)

func TestRedisErrors(t *testing.T) {
	r := &Redis{options: RedisOptions{Password: "hunter2", SentinelPassword: "swordfish"}}
	for text, want := range map[string]error{
		"MISCONF Errors writing to the AOF file: No space left on device":                                 ErrFull,
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk": ErrFailed,
		"OOM command not allowed when used memory > 'maxmemory'.":                                         ErrFailed,
		"READONLY You can't write against a read only replica.":                                           ErrFailed,
		"NOREPLICAS Not enough good replicas to write.":                                                   ErrFailed,
		"ERR unknown command 'AUTH', with args beginning with: 'hunter2' 'swordfish'":                     ErrFailed,
		rueidis.ErrClosing.Error():                                                                        ErrFailed,
	} {
		err := r.wrap("appending", errors.New(text))
		if !errors.Is(err, want) || errors.Is(err, ErrFull) != (want == ErrFull) {
			t.Errorf("%q is %v", text, err)
		}
		if !strings.HasPrefix(err.Error(), "appending: "+text[:10]) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "swordfish") {
			t.Errorf("%q is shown as %v", text, err)
		}
	}
}

func TestRedisOptions(t *testing.T) {
	for _, o := range []RedisOptions{
		{}, {Hub: "h"}, {Addrs: []string{"a:1"}}, {Addrs: []string{"a:1"}, Hub: "h", Cluster: true, DB: 1},
		{Addrs: []string{"a:1"}, Hub: "h", Cluster: true, Master: "m"},
	} {
		if _, err := OpenRedis(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
