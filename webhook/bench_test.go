package webhook

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

const mattermostBody = `{"token":"i7c9uhxjm3rztbhsawjfyr9uer","team_id":"uq5wu1a1678fjdyguarjxa3nmr","team_domain":"acme","channel_id":"xa6sd3erbt8huk45cufzqr4fnh",` +
	`"channel_name":"lobby","timestamp":1795298934032,"user_id":"xy7rdpgpxpg67ju5unwxfs8dph","user_name":"alice","post_id":"nrib5u3s5b8ntfzmbr3t68ihye",` +
	`"text":"hello JSON ☃ \"q\"\nline2","trigger_word":"","file_ids":""}`

func BenchmarkServe(b *testing.B) {
	h := mustNew(b, Config{Config: decode.Config{Preset: "mattermost"}, Secrets: []string{"i7c9uhxjm3rztbhsawjfyr9uer"}})
	receipts := []event.Receipt{{Durable: true}}
	pub := publisherFunc(func(context.Context, event.Batch) ([]event.Receipt, error) { return receipts, nil })
	b.ReportAllocs()
	for b.Loop() {
		if out := h.Serve(httptest.NewRecorder(), post(mattermostBody), nil, pub); out.Status != 200 {
			b.Fatal(out)
		}
	}
}
