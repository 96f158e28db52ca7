package tap

import "testing"

func TestPresetsCompile(t *testing.T) {
	for _, name := range Presets() {
		for _, deliver := range []string{"", "thin"} {
			if err := Check(Config{Preset: name, Prefix: "/chat", Deliver: deliver}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
