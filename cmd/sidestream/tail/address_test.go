package tail

import (
	"strings"
	"testing"
)

// An address that can never be reached is refused at once, with the right
// spelling.
func TestCheckURL(t *testing.T) {
	for address, hint := range map[string]string{
		"localhost:8080/flows?filter=1":     "http://localhost:8080/flows?filter=1",
		"127.0.0.1:8080/room/1/live.json":   "http://127.0.0.1:8080/room/1/live.json",
		"chat.example.com/room/1/live.json": "http://chat.example.com/room/1/live.json",
		"/room/1/live.json":                 "http://localhost:8080/room/1/live.json",
		"//localhost/room/1/live.json":      "http://localhost",
		"ws://localhost/x":                  "http://localhost/x",
		"wss://localhost/x":                 "https://localhost/x",
		"ftp://localhost/x":                 "https://localhost/x",
		"http:///x":                         "names no host",
		"http://:8080/x":                    "names no host",
		"http://[::1/x":                     "is no address",
		"htp://localhost/x":                 "https://localhost/x",
		"":                                  "is empty",
	} {
		if err := CheckURL(address); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%q: %v, want a hint of %q", address, err, hint)
		}
	}
	for _, address := range []string{"http://localhost:8080/flows?filter=1,2", "HTTPS://chat.example.com/room/1/live.json", "http://[::1]:8080/x", "http://user:pw@host/x"} {
		if err := CheckURL(address); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
}
