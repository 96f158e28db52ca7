package caddymodule

import (
	"bytes"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// maxAnnounced bounds the answers of the app that realtime_url and realtime_channel
// are added to. Longer ones, and those that do not say how long they are, pass as they
// are.
const maxAnnounced = 256 << 10

// announced finds the object whose page of the app is requested, if its signed name is
// to be added to the answer.
func (s *Sidestream) announced(r *http.Request) (url, name string, ok bool) {
	if r.Method != http.MethodGet {
		return "", "", false
	}
	for _, o := range s.objects {
		for kind, page := range o.Announced {
			if id, ok := idIn(page, r); ok {
				address := o.URL
				if address == "" {
					address = "//" + r.Host + o.Path
				}
				return address, "/" + o.Root(event.ObjectOf(kind, id)), true
			}
		}
	}
	return "", "", false
}

// idIn reads the id of an object from the address of its page, as /api/live/{id}.json
// or /api/live?id={id}.
func idIn(page string, r *http.Request) (id string, ok bool) {
	path, query, inQuery := strings.Cut(page, "?")
	if inQuery {
		name, _, _ := strings.Cut(query, "=")
		values, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil || r.URL.EscapedPath() != path || len(values[name]) != 1 {
			return "", false
		}
		id = values.Get(name)
	} else {
		before, after, _ := strings.Cut(path, "{id}")
		rest, found := strings.CutPrefix(r.URL.EscapedPath(), before)
		rest, ends := strings.CutSuffix(rest, after)
		if !found || !ends || strings.Contains(rest, "/") {
			return "", false
		}
		var err error
		if id, err = url.PathUnescape(rest); err != nil {
			return "", false
		}
	}
	return id, id != "" && len(id) <= event.MaxName
}

// announce passes a request on to the app, and adds the signed name of its object to
// the answer: to a JSON object that the app gives with 200. That it gives it is its
// word that the client may see the object.
func announce(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, url, name string) error {
	r = r.Clone(r.Context())
	r.Header.Del("Accept-Encoding") // nothing can be added to what is compressed
	var body bytes.Buffer
	rec := caddyhttp.NewResponseRecorder(w, &body, func(status int, h http.Header) bool {
		size, err := strconv.Atoi(h.Get("Content-Length"))
		kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
		return status == http.StatusOK && err == nil && size <= maxAnnounced && h.Get("Content-Encoding") == "" &&
			(kind == "application/json" || strings.HasSuffix(kind, "+json"))
	})
	err := next.ServeHTTP(rec, r)
	if !rec.Buffered() {
		return err
	}
	answer := withRealtime(body.Bytes(), url, name)
	h := w.Header()
	h.Set("Content-Length", strconv.Itoa(len(answer)))
	if len(answer) != body.Len() {
		h.Del("Etag") // the app's is of what it said
		h.Set("Cache-Control", "private, no-store")
	}
	w.WriteHeader(rec.Status())
	_, _ = w.Write(answer) // the client has gone
	return err
}

// withRealtime adds the two members to a JSON object. What is none, or has them, stays
// as it is, and so does every other byte.
func withRealtime(body []byte, url, name string) []byte {
	object, err := fastjson.ParseBytes(body)
	if err != nil || object.Type() != fastjson.TypeObject || object.Exists("realtime_channel") || object.Exists("realtime_url") {
		return body
	}
	at := bytes.IndexByte(body, '{') + 1
	b := append(make([]byte, 0, len(body)+160), body[:at]...)
	b = format.AppendText(append(b, `"realtime_url":`...), url)
	b = format.AppendText(append(b, `,"realtime_channel":`...), name)
	if object.GetObject().Len() > 0 {
		b = append(b, ',')
	}
	return append(b, body[at:]...)
}
