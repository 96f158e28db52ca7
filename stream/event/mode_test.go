package event

import (
	"errors"
	"strings"
	"testing"
)

// The channels of modes can be named by whoever makes them, and by nobody else.
func TestChannelsOfModes(t *testing.T) {
	name := ModeChannel("app", "auth", "a:b")
	if app, mode, stream, ok := SplitMode(name); !ok || app != "app" || mode != "auth" || stream != "a:b" {
		t.Errorf("%s is %s, %s, %s, %v", name, app, mode, stream, ok)
	}
	if err := CheckModeChannel(name); err != nil {
		t.Error(err)
	}
	if err := CheckChannel(name); !errors.Is(err, ErrNameMode) {
		t.Errorf("as any channel: %v", err)
	}
	if got := (Names{Flows: true}).Canonical(name); got != name {
		t.Errorf("it has become %s", got)
	}
	for _, bad := range []string{"app:auth:s", ModePrefix, ModePrefix + "app:auth", ModePrefix + "app:auth:", ModePrefix + "::s", name + "\n", name + strings.Repeat("x", MaxName)} {
		if CheckModeChannel(bad) == nil {
			t.Errorf("%.40q was taken", bad)
		}
	}
}
