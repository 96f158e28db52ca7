package caddymodule

import "net/http"

// serveHealth tells a load balancer whether this instance can have traffic: the hub
// must take events from all its ways in, and deliver them. With ?live it only tells
// that the process lives, because a restart does not help while a disk is full.
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
