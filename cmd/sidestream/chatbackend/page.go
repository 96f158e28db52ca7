package chatbackend

import (
	"embed"
	"net/http"
)

//go:embed page
var pageFiles embed.FS

// contentPolicy lets the page use its own files and talk to its own host.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// mountPage serves the web page at / and its files under /page/.
func mountPage(mux *http.ServeMux) {
	for path, file := range map[string]string{
		"/{$}": "page/index.html", "/page/chat.js": "page/chat.js", "/page/chat.css": "page/chat.css",
		"/favicon.ico": "page/icon.svg",
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Security-Policy", contentPolicy)
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("Cache-Control", "no-cache")
			if file == "page/icon.svg" {
				h.Set("Content-Type", "image/svg+xml")
			}
			http.ServeFileFS(w, r, pageFiles, file)
		})
	}
}
