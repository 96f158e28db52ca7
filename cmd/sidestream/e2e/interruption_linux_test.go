package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Reloads lose nothing of an app that never sends again, whether it looks if its
// connection has ended or not. (Plain Caddy loses some posts of a thousand here, and
// one for each connection of those that do not look.)
func TestReloadCutsOffNoPost(t *testing.T) {
	b := newBackend(t)
	site := func(n int) string {
		return b.directives(`webhook /hooks/mattermost {
			preset mattermost
			secret mattermost-token
		}
		drain ` + fmt.Sprint(1+n) + `s
		history {
			store memory
		}`)
	}
	s := start(t, site(0))
	const senders, reloads = 16, 8
	var posts, lost atomic.Int64
	var why atomic.Pointer[error]
	done := make(chan struct{})
	var working sync.WaitGroup
	for i := range senders {
		working.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				body := fmt.Sprintf(`{"token":"mattermost-token","channel_id":"town","post_id":"p%d-%d","text":"x"}`, i, n)
				// A reader of its own: Go cannot send it twice.
				resp, err := client.Post(s.url+"/hooks/mattermost", "application/json", io.MultiReader(strings.NewReader(body)))
				posts.Add(1)
				if err != nil {
					lost.Add(1)
					why.Store(&err)
					continue
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK || !resp.Close {
					t.Errorf("posting: %d, which ends the connection: %t", resp.StatusCode, resp.Close)
					return
				}
			}
		})
	}
	for i := range reloads {
		before := posts.Load()
		s.reload(site(i + 1))
		eventually(t, "posts come after the reload", func() bool { return posts.Load() > before+senders })
	}
	close(done)
	working.Wait()
	if n := lost.Load(); n*1000 > posts.Load() {
		t.Errorf("%d reloads cut off %d of %d posts: %v", reloads, n, posts.Load(), *why.Load())
	} else {
		t.Logf("%d reloads cut off %d of %d posts", reloads, n, posts.Load())
	}
}
