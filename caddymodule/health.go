package caddymodule

import "net/http"

// serveHealth answers a load balancer: may this instance have traffic? The hub
// must take events, from everywhere, and deliver them. With ?live it answers whether the process
// is alive at all: restarting it does not help while a disk is full.
func serveHealth(w http.ResponseWriter, r *http.Request, ready bool) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if r.URL.Query().Has("live") || ready {
		w.Write([]byte(`{"status":"ok"}` + "\n"))
		return
	}
	// What is wrong is in the log; a stranger is only told that something is.
	w.WriteHeader(http.StatusServiceUnavailable)
	w.Write([]byte(`{"status":"unavailable"}` + "\n"))
}
