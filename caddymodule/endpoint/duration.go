package endpoint

import (
	"encoding/json"
	"errors"
	"time"
)

// Duration is a time in the settings of an endpoint: in JSON, text such as "25s", or
// nanoseconds.
type Duration time.Duration

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		return json.Unmarshal(b, (*int64)(d))
	}
	parsed, err := time.ParseDuration(text)
	*d = Duration(parsed)
	return err
}

// errDuration is the error of text that is no time above zero.
var errDuration = errors.New("it needs a time, as in 25s")

// ParseDuration reads the one argument of an option that is a time above zero.
func ParseDuration(args []string) (Duration, error) {
	if len(args) != 1 {
		return 0, errDuration
	}
	d, err := time.ParseDuration(args[0])
	if err != nil || d <= 0 {
		return 0, errDuration
	}
	return Duration(d), nil
}
