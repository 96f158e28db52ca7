package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// fayePage is a page with the browser client of npm faye.
func fayePage() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".js") {
			http.ServeFile(w, r, clientsFolder+"/node_modules/faye/client/faye-browser.js")
			return
		}
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!doctype html><title>Faye</title><script src="faye.js"></script>`)
	})
}

// Faye in a browser, on a page of the same site and on one of another site, over each
// of its transports.
func TestBayeuxInBrowser(t *testing.T) {
	b := newBackend(t)
	b.app = fayePage()
	elsewhere := httptest.NewServer(fayePage())
	t.Cleanup(elsewhere.Close)
	s := start(t, b.directives("bayeux {\n timeout 5s\n}\ncors {\n origins "+elsewhere.URL+"\n}\nhistory {\n store memory\n}"))
	chromium := newBrowser(t)
	n := 0
	for _, on := range []struct {
		page       string
		transports []string
	}{
		{s.url + "/app/", []string{"websocket", "eventsource", "long-polling"}},
		{elsewhere.URL + "/", []string{"websocket", "cross-origin-long-polling", "callback-polling"}},
	} {
		page := on.page
		for _, transport := range on.transports {
			n++
			window, room := fmt.Sprint("window-", n), fmt.Sprint("room-", n)
			chromium.do("visit", window, page)
			a := chromium.do("faye", window, s.url+"/faye?access_token="+goodToken, transport, "/rooms/"+room+" /rooms/"+room+"/*")
			if a["connected"] != transport {
				t.Errorf("%s on %s: connected over %v", transport, page, a["connected"])
			}
			var want []any
			for i := range 5 {
				s.publish(room, i+1, fmt.Sprint("message ", i))
				want = append(want, fmt.Sprintf("/rooms/%s message %d", room, i))
			}
			s.publish(room+"/below", 99, "below")
			want = append(want, "/rooms/"+room+"/below below")
			if got := chromium.do("heard", window, fmt.Sprint(len(want)))["heard"]; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s on %s: heard %v, want %v", transport, page, got, want)
			}
		}
	}
	// A page that nobody has listed gets nothing, over no transport.
	stranger := httptest.NewServer(fayePage())
	t.Cleanup(stranger.Close)
	chromium.do("visit", "stranger", stranger.URL)
	for _, url := range []string{"/faye?access_token=" + goodToken, "/faye?message=%5B%5D&access_token=" + goodToken} {
		if a := chromium.do("fetch", "stranger", s.url+url); a["got"] != "failed" {
			t.Errorf("a page of another site got %v", a["got"])
		}
	}
}
