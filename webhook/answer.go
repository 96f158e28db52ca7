package webhook

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// answer is what goes back to the sender.
type answer struct {
	status      int
	contentType string
	body        []byte
}

func (a *answer) write(w http.ResponseWriter) {
	header := w.Header()
	if a.contentType == "" {
		header["Content-Type"] = nil // or net/http would guess one
	} else {
		header.Set("Content-Type", a.contentType)
	}
	if a.status != http.StatusNoContent {
		header.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if len(a.body) > 0 {
		_, _ = w.Write(a.body) // a sender that is gone sends again
	}
}

// positions says where the events stand: {"position":"...","duplicate":false}
// for a delivery that is one message, otherwise {"events":[...]} with one entry
// for each event, in order, and how many messages are not among them.
func positions(decoded *decode.Decoded, receipts []event.Receipt) []byte {
	if !decoded.Batch && len(receipts) == 1 {
		return appendPosition(make([]byte, 0, positionSize), &receipts[0])
	}
	b := append(make([]byte, 0, 32+len(receipts)*positionSize), `{"events":[`...)
	for i := range receipts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendPosition(b, &receipts[i])
	}
	b = append(b, ']')
	for _, count := range []struct {
		name string
		n    int
	}{{"dropped", decoded.Dropped}, {"unmapped", decoded.Unmapped}} {
		if count.n > 0 {
			b = fmt.Appendf(b, `,"%s":%d`, count.name, count.n)
		}
	}
	return append(b, '}')
}

// positionSize is about what a position takes, in bytes.
const positionSize = 48 + event.MaxCursor

func appendPosition(b []byte, r *event.Receipt) []byte {
	b = append(b, `{"position":"`...)
	b = r.Position.Append(b)
	b = append(b, `","duplicate":`...)
	b = strconv.AppendBool(b, r.Duplicate)
	return append(b, '}')
}
