package webhook

import (
	"context"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
)

const mattermostBody = `{"token":"i7c9uhxjm3rztbhsawjfyr9uer","team_id":"uq5wu1a1678fjdyguarjxa3nmr","team_domain":"acme","channel_id":"xa6sd3erbt8huk45cufzqr4fnh",` +
	`"channel_name":"lobby","timestamp":1795298934032,"user_id":"xy7rdpgpxpg67ju5unwxfs8dph","user_name":"alice","post_id":"nrib5u3s5b8ntfzmbr3t68ihye",` +
	`"text":"hello JSON ☃ \"q\"\nline2","trigger_word":"","file_ids":""}`

func BenchmarkDecodeMattermost(b *testing.B) {
	h := mustNew(b, Config{Preset: "mattermost", Secrets: []string{"i7c9uhxjm3rztbhsawjfyr9uer"}})
	in := Input{Body: []byte(mattermostBody), Header: map[string][]string{"Content-Type": {"application/json"}}}
	b.ReportAllocs()
	b.SetBytes(int64(len(in.Body)))
	for b.Loop() {
		if out, err := h.Decode(in); err != nil || len(out.Events) != 1 {
			b.Fatal(out, err)
		}
	}
}

func BenchmarkDecodeBatch(b *testing.B) {
	var body strings.Builder
	body.WriteString(`{"events":[`)
	for i := range 100 {
		if i > 0 {
			body.WriteByte(',')
		}
		body.WriteString(`{"type":"m.room.message","event_id":"$` + strconv.Itoa(i) + `","room_id":"!r:x","sender":"@a:x","origin_server_ts":1795298934032,"content":{"body":"hello","msgtype":"m.text"}}`)
	}
	body.WriteString(`]}`)
	h := mustNew(b, Config{Preset: "matrix", Secrets: []string{"x"}})
	in := Input{Body: []byte(body.String())}
	b.ReportAllocs()
	b.SetBytes(int64(len(in.Body)))
	for b.Loop() {
		if out, err := h.Decode(in); err != nil || len(out.Events) != 100 {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckJSON(b *testing.B) {
	body := []byte(mattermostBody)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := checkJSON(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkServe(b *testing.B) {
	h := mustNew(b, Config{Preset: "mattermost", Secrets: []string{"i7c9uhxjm3rztbhsawjfyr9uer"}})
	receipts := []event.Receipt{{Durable: true}}
	pub := publisherFunc(func(context.Context, event.Batch) ([]event.Receipt, error) { return receipts, nil })
	b.ReportAllocs()
	for b.Loop() {
		if out := h.Serve(httptest.NewRecorder(), post(mattermostBody), nil, pub); out.Status != 200 {
			b.Fatal(out)
		}
	}
}
