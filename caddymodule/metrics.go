package caddymodule

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-078801ba/sidestream/stream"
)

// collector shows the counts of a configuration's hubs in Caddy's metrics. It
// reads them from the hubs, which outlive the configuration: a reload sets no
// counter back. No label has a value that a stranger chooses.
type collector struct{ app *App }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("caddy_sidestream_"+name, help, append([]string{"hub"}, labels...), nil)
}

var (
	descStreams    = desc("streams", "Streams that are open.", "format", "kind")
	descOpened     = desc("streams_opened_total", "Streams that were opened.", "format", "kind")
	descClosed     = desc("streams_closed_total", "Streams that ended, by reason.", "reason")
	descRefused    = desc("streams_refused_total", "Streams that were refused because a limit was reached.", "limit")
	descDelivered  = desc("messages_delivered_total", "Messages written to clients.", "format")
	descSent       = desc("sent_bytes_total", "Bytes written to clients, framing included.")
	descBatches    = desc("publishes_total", "Deliveries from the backend that were stored.")
	descEvents     = desc("events_total", "Events stored.")
	descDuplicates = desc("duplicate_events_total", "Events that had been stored before.")
	descConflicts  = desc("conflicting_events_total", "Duplicate events whose content was another one.")
	descCommits    = desc("commits_total", "Transactions of the event log.")
	descFailed     = desc("failed_commits_total", "Transactions of the event log that failed.")
	descCommitTime = desc("commit_seconds_total", "Time spent in transactions of the event log.")
	descLoops      = desc("shard_rounds_total", "Rounds of the delivery shards.")
	descLoopTime   = desc("shard_busy_seconds_total", "Time that the delivery shards were busy.")
	descChannels   = desc("channels", "Channels with recent events in memory.")
	descWindow     = desc("window_bytes", "Recent events in memory.")
	descHistory    = desc("history_events", "Events in the history.")
	descHistoryB   = desc("history_bytes", "Bytes of the events in the history.")
	descFile       = desc("history_file_bytes", "Size of the history's file.")
	descHealthy    = desc("healthy", "1 if the hub takes events and delivers them.")
)

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descStreams, descOpened, descClosed, descRefused, descDelivered, descSent, descBatches, descEvents, descDuplicates,
		descConflicts, descCommits, descFailed, descCommitTime, descLoops, descLoopTime, descChannels, descWindow,
		descHistory, descHistoryB, descFile, descHealthy,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for name, t := range c.app.tenancies {
		collect(ch, name, t.hub.Hub)
	}
}

func collect(ch chan<- prometheus.Metric, name string, hub *stream.Hub) {
	st := hub.Stats()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{name}, labels...)...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, append([]string{name}, labels...)...)
	}
	for k, v := range st.Open {
		gauge(descStreams, float64(v), k.Format, string(k.Kind))
	}
	for k, v := range st.Opened {
		counter(descOpened, float64(v), k.Format, string(k.Kind))
	}
	for _, reason := range stream.Reasons {
		counter(descClosed, float64(st.Closed[reason]), string(reason))
	}
	for limit, v := range st.Refused {
		counter(descRefused, float64(v), limit)
	}
	for format, v := range st.Delivered {
		counter(descDelivered, float64(v), format)
	}
	counter(descSent, float64(st.Bytes))
	counter(descBatches, float64(st.Batches))
	counter(descEvents, float64(st.Events))
	counter(descDuplicates, float64(st.Duplicates))
	counter(descConflicts, float64(st.Conflicts))
	counter(descCommits, float64(st.Commits))
	counter(descFailed, float64(st.FailedCommits))
	counter(descCommitTime, st.CommitTime.Seconds())
	counter(descLoops, float64(st.Loops))
	counter(descLoopTime, st.LoopTime.Seconds())
	gauge(descChannels, float64(st.Channels))
	gauge(descWindow, float64(st.WindowBytes))
	gauge(descHistory, float64(st.Log.Events))
	gauge(descHistoryB, float64(st.Log.Bytes))
	gauge(descFile, float64(st.Log.FileSize))
	healthy := 0.0
	if hub.Health() == nil {
		healthy = 1
	}
	gauge(descHealthy, healthy)
}
