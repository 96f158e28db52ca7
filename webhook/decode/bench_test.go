package decode

import (
	"strconv"
	"strings"
	"testing"
)

const mattermostBody = `{"token":"i7c9uhxjm3rztbhsawjfyr9uer","team_id":"uq5wu1a1678fjdyguarjxa3nmr","team_domain":"acme","channel_id":"xa6sd3erbt8huk45cufzqr4fnh",` +
	`"channel_name":"lobby","timestamp":1795298934032,"user_id":"xy7rdpgpxpg67ju5unwxfs8dph","user_name":"alice","post_id":"nrib5u3s5b8ntfzmbr3t68ihye",` +
	`"text":"hello JSON ☃ \"q\"\nline2","trigger_word":"","file_ids":""}`

func BenchmarkDecodeMattermost(b *testing.B) {
	d := mustDecoder(b, Config{Preset: "mattermost"})
	in := Input{Body: []byte(mattermostBody), Header: map[string][]string{"Content-Type": {"application/json"}}}
	b.ReportAllocs()
	b.SetBytes(int64(len(in.Body)))
	for b.Loop() {
		if out, err := d.Decode(in); err != nil || len(out.Events) != 1 {
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
	d := mustDecoder(b, Config{Preset: "matrix"})
	in := Input{Body: []byte(body.String())}
	b.ReportAllocs()
	b.SetBytes(int64(len(in.Body)))
	for b.Loop() {
		if out, err := d.Decode(in); err != nil || len(out.Events) != 100 {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckJSON(b *testing.B) {
	body := []byte(mattermostBody)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := checkJSON(body); err != nil {
			b.Fatal(err)
		}
	}
}
