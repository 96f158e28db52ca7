package bayeux

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"
)

// post serves long-polling: messages in a body, replies in the answer.
func (x *exchange) post() func(context.Context) {
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxBody))
	if err != nil {
		refuse(x.w, http.StatusRequestEntityTooLarge, "Bad request")
		return nil
	}
	messages, err := batchOf(string(body))
	if err != nil {
		refuse(x.w, http.StatusBadRequest, "Bad request")
		return nil
	}
	if !x.identify(x.r) {
		return nil
	}
	x.serve(x.r.Context(), messages)
	return x.answer(x.writeJSON)
}

// identify reads whose messages they are, or refuses.
func (x *exchange) identify(r *http.Request) bool {
	client, re := x.server.Caller(r, x.server.OriginsOf(x.bayeux))
	if re != nil {
		refuse(x.w, re.Status, re.Message)
		return false
	}
	x.client = client
	return true
}

// answer writes the replies, when there is nothing to wait for any more.
func (x *exchange) answer(write func([]byte)) func(context.Context) {
	if x.connect == nil {
		write(x.replies.done())
		return nil
	}
	return func(ctx context.Context) {
		c := http.NewResponseController(x.w)
		c.SetWriteDeadline(time.Time{}) // of the server: it is we who take the time
		x.connect(ctx)
		if ctx.Err() != nil {
			return // nobody is there
		}
		c.SetWriteDeadline(time.Now().Add(writeTime))
		write(x.replies.done())
		c.SetWriteDeadline(time.Time{}) // the server sets its own for the next request
	}
}

// writeTime is how long a client may take to read an answer.
const writeTime = 30 * time.Second

func (x *exchange) writeJSON(b []byte) {
	h := x.w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	x.w.WriteHeader(http.StatusOK)
	x.w.Write(b)
}
