package suggest

import "testing"

func TestAmong(t *testing.T) {
	known := []string{"campfire", "flowdock"}
	for got, want := range map[string]string{
		"campfyre": "; did you mean campfire?", "FLOWDOCK": "; did you mean flowdock?", "folwdock": "; did you mean flowdock?",
		"bayeux": "; known are campfire, flowdock",
	} {
		if s := Among(got, known); s != want {
			t.Errorf("%s: %s", got, s)
		}
	}
}
