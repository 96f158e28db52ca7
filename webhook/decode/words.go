package decode

import (
	"fmt"
	"strings"
)

// The words of a line of configuration, read in one way by every way in. Each
// function takes what stands behind an option's name.

// SetText sets a text that is one word, once. want says what is expected.
func SetText(to *string, args []string, want string) error {
	switch {
	case *to != "":
		return fmt.Errorf("it is set twice")
	case len(args) != 1 || args[0] == "":
		return fmt.Errorf("expected one word, %s", want)
	}
	*to = args[0]
	return nil
}

// SetDuration sets a time span.
func SetDuration(to *Duration, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("expected one duration, as in 10s or 5m")
	}
	d, err := parseDuration(args[0])
	*to = Duration(d)
	return err
}

// SetSize sets a number of bytes.
func SetSize(to *int64, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return fmt.Errorf("expected one size, as in 512KiB or 1MiB")
	}
	n, err := parseSize(args[0])
	*to = n
	return err
}

// SetFlag sets a switch that stands alone.
func SetFlag(to *bool, args []string) error {
	if len(args) != 0 {
		return fmt.Errorf("it stands alone, but %q follows it", args[0])
	}
	*to = true
	return nil
}

func joined(args []string) []string {
	if len(args) == 0 {
		return nil
	}
	return []string{strings.Join(args, " ")}
}
