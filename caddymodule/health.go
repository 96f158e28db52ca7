package caddymodule

import (
	"encoding/json"
	"net/http"
	"strings"
)

// serveHealth tells a load balancer whether this instance can have traffic: the hub
// must take events from all its ways in, and deliver them. With ?live it only tells
// that the process lives, because a restart does not help while a disk is full.
//
// Whoever asks for JSON by name is told what is wrong, but not why: that is in the log,
// and on the admin API.
func serveHealth(w http.ResponseWriter, r *http.Request, reasons []ailment) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	answer := struct {
		Status  string   `json:"status"`
		Reasons []string `json:"reasons,omitempty"`
	}{Status: "ok"}
	if len(reasons) > 0 && !r.URL.Query().Has("live") {
		answer.Status = "unavailable"
		if strings.Contains(r.Header.Get("Accept"), "application/json") {
			for _, reason := range reasons {
				answer.Reasons = append(answer.Reasons, reason.what)
			}
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer) // who asked may have gone
}
