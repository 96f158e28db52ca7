package caddymodule

import (
	"testing"

	"github.com/caddyserver/caddy/v2"
	dto "github.com/prometheus/client_model/go"
)

// metric is the value of a metric of the running configuration, with the given
// labels besides the hub's name.
func metric(t *testing.T, name string, labels map[string]string) float64 {
	t.Helper()
	ctx := caddy.ActiveContext()
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "caddy_sidestream_"+name {
			continue
		}
		for _, m := range f.Metric {
			if matches(m, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s with %v", name, labels)
	return 0
}

func matches(m *dto.Metric, labels map[string]string) bool {
	found := 0
	for _, l := range m.Label {
		if labels[l.GetName()] == l.GetValue() {
			found++
		}
	}
	return found == len(labels)
}

// Counts belong to the hub: a reload sets none of them back.
func TestMetricsSurviveReload(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	s.app.allow("tok", "1")
	stream := s.open("/room/1/live.json", asBasic)
	s.post("1", "1", "one")
	readUntil(t, stream, "one")
	s.load(basics)
	s.post("1", "2", "two")
	readUntil(t, stream, "two")
	campfire := map[string]string{"format": "campfire-json"}
	for name, want := range map[string]struct {
		value  float64
		labels map[string]string
	}{
		"streams":                  {1, map[string]string{"format": "campfire-json", "kind": "epoll"}},
		"streams_opened_total":     {1, map[string]string{"format": "campfire-json", "kind": "epoll"}},
		"messages_delivered_total": {2, campfire},
		"events_total":             {2, nil},
		"webhook_requests_total":   {2, map[string]string{"webhook": "/hooks/own", "status": "202"}},
		"backend_questions_total":  {1, nil},
		"healthy":                  {1, nil},
		"streams_behind":           {0, nil},
	} {
		if got := metric(t, name, want.labels); got != want.value {
			t.Errorf("%s is %v, want %v", name, got, want.value)
		}
	}
	stream.Body.Close()
	eventually(t, "the stream's end is counted", func() bool {
		return metric(t, "streams_closed_total", map[string]string{"reason": "client-gone"}) == 1 &&
			metric(t, "streams", map[string]string{"format": "campfire-json", "kind": "epoll"}) == 0
	})
}
