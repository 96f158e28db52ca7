package caddymodule

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-078801ba/sidestream/stream"
)

// How long things take, by hub. They belong to the process, so that a reload does not
// set them back.
var (
	commitTimes   = histogram("commit_duration_seconds", "Transactions of the event log.")
	deliveryTimes = histogram("delivery_duration_seconds", "From an event's commit until it is written to the streams of a shard.")
	questionTimes = histogram("backend_question_duration_seconds", "Questions to the backend.")
	webhookTimes  = histogram("webhook_duration_seconds", "Requests to webhooks, from the head to the answer.")
	openingTimes  = histogram("opening_duration_seconds", "Requests for streams that were opened: the question, and the look into the history.")
)

// allTimes are for the collector.
var allTimes = []*prometheus.HistogramVec{commitTimes, deliveryTimes, questionTimes, webhookTimes, openingTimes}

// histogram has buckets from a tenth of a millisecond to ten seconds.
func histogram(name, help string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "caddy_sidestream_" + name, Help: help,
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"hub"})
}

// times are how long things take in one hub.
type times struct{ commit, delivery, question, webhook, opening prometheus.Observer }

func newTimes(hub string) times {
	return times{
		commitTimes.WithLabelValues(hub), deliveryTimes.WithLabelValues(hub), questionTimes.WithLabelValues(hub),
		webhookTimes.WithLabelValues(hub), openingTimes.WithLabelValues(hub),
	}
}

// timings are those that the engine measures.
func (t *times) timings() *stream.Timings {
	return &stream.Timings{
		Commit:  func(d time.Duration) { t.commit.Observe(d.Seconds()) },
		Deliver: func(d time.Duration) { t.delivery.Observe(d.Seconds()) },
	}
}
