package bayeux

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// defaultCallback is called where the client names none (Faye's server has it).
const defaultCallback = "jsonpcallback"

// jsonp serves callback-polling: messages in the query, replies in a script. It is for
// pages of other origins whose browser lets them do nothing else; Faye's clients begin
// with it there. Whatever page asks gets an answer that it can read, so that cookies
// count for nothing here.
func (x *exchange) jsonp() func(context.Context) {
	query, err := url.ParseQuery(x.r.URL.RawQuery)
	callback := query.Get("jsonp")
	if callback == "" {
		callback = defaultCallback
	}
	if err != nil || !validCallback(callback) {
		refuse(x.w, http.StatusBadRequest, "Bad request")
		return nil
	}
	messages, err := batchIn(query["message"])
	if err != nil {
		refuse(x.w, http.StatusBadRequest, "Bad request")
		return nil
	}
	r := x.r.Clone(x.r.Context())
	r.Header.Del("Cookie")
	if !x.identify(r) {
		return nil
	}
	x.serve(x.r.Context(), messages)
	return x.answer(func(b []byte) { x.writeScript(callback, b) })
}

// writeScript writes the replies as a program. The comment in front keeps the bytes
// from being taken for something else than a script (Rosetta Flash), as do the
// headers.
func (x *exchange) writeScript(callback string, b []byte) {
	script := append(append([]byte("/**/"), callback...), '(')
	script = append(script, bytes.ReplaceAll(b, []byte("</"), []byte(`<\/`))...)
	script = append(script, ");"...)
	h := x.w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Content-Disposition", "attachment; filename=f.txt")
	h.Set("Content-Length", strconv.Itoa(len(script)))
	x.w.WriteHeader(http.StatusOK)
	x.w.Write(script)
}
