package webhook

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

const mattermostBody = `{"token":"i7c9uhxjm3rztbhsawjfyr9uer","team_id":"uq5wu1a1678fjdyguarjxa3nmr","team_domain":"acme","channel_id":"xa6sd3erbt8huk45cufzqr4fnh",` +
	`"channel_name":"lobby","timestamp":1795298934032,"user_id":"xy7rdpgpxpg67ju5unwxfs8dph","user_name":"alice","post_id":"nrib5u3s5b8ntfzmbr3t68ihye",` +
	`"text":"hello JSON ☃ \"q\"\nline2","trigger_word":"","file_ids":""}`

// nowhere is an http.ResponseWriter that costs nothing.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header             { return n.header }
func (n *nowhere) Write(b []byte) (int, error)     { return len(b), nil }
func (n *nowhere) WriteHeader(int)                 {}
func (n *nowhere) SetReadDeadline(time.Time) error { return nil }

// BenchmarkServe is what one delivery costs here: what net/http, Caddy and the
// store do is not counted.
func BenchmarkServe(b *testing.B) {
	receipts := []event.Receipt{{Durable: true}}
	pub := publisherFunc(func(context.Context, event.Batch) ([]event.Receipt, error) { return receipts, nil })
	for _, c := range []struct {
		name string
		cfg  Config
		r    *http.Request
		body string
	}{
		{"mattermost", Config{Config: decode.Config{Preset: "mattermost"}, Secrets: []string{"i7c9uhxjm3rztbhsawjfyr9uer"}}, post(""), mattermostBody},
		{"own", own("verify bearer", "secret 0123456789abcdef", "map user {json.user}"), post("", "Authorization", "Bearer 0123456789abcdef"), `{"room":1,"id":5,"user":7,"text":"hello there, this is a message"}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := mustNew(b, c.cfg)
			w := &nowhere{http.Header{}}
			reader := bytes.NewReader(nil)
			body := io.NopCloser(reader)
			sent := []byte(c.body)
			b.ReportAllocs()
			for b.Loop() {
				reader.Reset(sent)
				c.r.Body = body
				if out := h.Serve(w, c.r, nil, pub); out.Status != 200 {
					b.Fatal(out)
				}
			}
		})
	}
}
