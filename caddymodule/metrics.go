package caddymodule

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/access"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook"
	"github.com/seed-078801ba/sidestream/webhook/pull"
	"github.com/seed-078801ba/sidestream/webhook/redis"
	"github.com/seed-078801ba/sidestream/webhook/tap"
)

// webhookCounts count what came to one webhook. They live as long as the hub.
type webhookCounts struct {
	last webhook.Last // deliveries that were refused or could not be mapped

	failed, refused, unmappable, untimable occasional // lines of the log

	mu               sync.Mutex
	requests         map[int]uint64    // by status
	unmapped         map[string]uint64 // by reason
	dropped, untimed uint64
	stored           uint64 // events
}

// counts are the counts of a webhook, by the path in the configuration.
func (p *pooledHub) counts(path string) *webhookCounts {
	v, _ := p.webhooks.LoadOrStore(path, &webhookCounts{requests: map[int]uint64{http.StatusOK: 0, http.StatusUnauthorized: 0, http.StatusServiceUnavailable: 0}, unmapped: map[string]uint64{}})
	return v.(*webhookCounts)
}

func (c *webhookCounts) add(o webhook.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[o.Status]++
	for reason, n := range o.UnmappedFor {
		c.unmapped[reason] += uint64(n)
	}
	c.dropped += uint64(o.Dropped)
	c.untimed += uint64(o.Untimed)
	c.stored += uint64(o.Events)
}

// collector puts the counts of a configuration's hubs into Caddy's metrics. It reads
// them from the hubs, which outlive the configuration, so that a reload resets no
// counter. No label has a value that a stranger can choose.
type collector struct{ app *App }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("caddy_sidestream_"+name, help, append([]string{"hub"}, labels...), nil)
}

var (
	descStreams    = desc("streams", "Streams that are open.", "format", "kind")
	descOpened     = desc("streams_opened_total", "Streams that were opened.", "format", "kind")
	descClosed     = desc("streams_closed_total", "Streams that ended, by reason.", "reason")
	descToldGaps   = desc("gaps_told_total", "Times that the client of a stream was told that it misses something, by reason.", "reason")
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
	descBehind     = desc("streams_behind", "Streams whose client has not taken everything yet.")
	descWebhooks   = desc("webhook_requests_total", "Requests to webhooks, by status of the answer.", "webhook", "status")
	descUnmapped   = desc("webhook_unmapped_total", "Messages that could not be mapped, by reason.", "webhook", "reason")
	descDropped    = desc("webhook_dropped_total", "Messages that a rule dropped.", "webhook")
	descUntimed    = desc("webhook_untimed_total", "Messages whose time could not be read; that of their arrival stands in.", "webhook")
	descAsked      = desc("backend_questions_total", "Questions to the backend, re-checks included.")
	descRechecked  = desc("backend_rechecks_total", "Questions that were asked again while a stream ran.")
	descUnanswered = desc("backend_failures_total", "Questions without an answer.")
	descGivenUp    = desc("backend_given_up_total", "Questions that took much longer than is usual, and made room for others.")
	descBlocked    = desc("access_blocked_total", "Questions that were not asked, because too many bad credentials came from their address.")
	descOverload   = desc("access_overload_total", "Questions that were not asked, because too many waited or the backend was out of reach.")
	descNoStream   = desc("requests_refused_total", "Requests for streams that were refused, by status.", "status")
	descRemembered = desc("access_remembered_total", "Openings that were answered from memory.")
	descWatched    = desc("access_watched", "Questions that are asked again and again.")
	descRechkBack  = desc("access_recheck_behind_seconds", "How long the most overdue re-check has been waiting.")
	descReceived   = desc("redis_received_total", "Messages that came from Redis.", "source")
	descTaken      = desc("redis_published_total", "Events that came of them.", "source")
	descUnmappedR  = desc("redis_unmapped_total", "Messages that could not be mapped, by reason.", "source", "reason")
	descLost       = desc("redis_lost_total", "Messages that were lost because they came faster than they could be stored.", "source")
	descGaps       = desc("redis_gaps_total", "Times that events may have been missed, and listeners were told.", "source")
	descReconnects = desc("redis_reconnects_total", "Connections to Redis that were made anew.", "source")
	descConnected  = desc("redis_connected", "1 while what is published in Redis is heard.", "source")
	descTapped     = desc("tap_answers_total", "Answers of the app, and messages in them, by the rule of a tap and what became of them.", "rule", "outcome")
	descTapGaps    = desc("tap_gaps_total", "Times that listeners were told that a tap may have missed a message.")
	descTapWaiting = desc("tap_waiting", "Answers that wait to be read by a tap.")
	descFirst      = desc("way_first_total", "Messages, by the way in that was the first to bring them.", "way")
	descSeen       = desc("way_seen_total", "Messages that a way in has brought, whoever was first.", "way")
	descAlone      = desc("way_alone", "Messages that no other way in has brought.", "way")
	descPullAsked  = desc("pull_questions_total", "Questions for the app's lists, by status of the answer.", "source", "status")
	descPullTaken  = desc("pull_published_total", "Events that the app's lists brought.", "source")
	descPullKnown  = desc("pull_duplicates_total", "Events of the app's lists that were known.", "source")
	descPullUnmap  = desc("pull_unmapped_total", "Messages of the app's lists that could not be mapped, by reason.", "source", "reason")
	descPullDrop   = desc("pull_dropped_total", "Messages of the app's lists that a rule dropped.", "source")
	descPullGaps   = desc("pull_gaps_total", "Times that something was passed over, and listeners were told.", "source")
	descPullPokes  = desc("pull_pokes_total", "Times that another way in said that something is new.", "source")
	descPullChans  = desc("pull_channels", "Channels whose lists are read.", "source")
	descPullBehind = desc("pull_behind_seconds", "How long the most overdue channel has been waiting to be read.", "source")
	descPullPaused = desc("pull_paused", "1 while nothing is asked, because the app has trouble or has enough.", "source")
	descPresent    = desc("presence_users", "Users who are there, on all nodes; one who is in two channels counts twice.")
	descPresentIn  = desc("presence_channels", "Channels that somebody is in.")
	descAttending  = desc("presence_streams", "Streams of this node that show a user to be there, by channel.")
	descNodes      = desc("presence_nodes", "Nodes that are believed, this one included.")
	descComings    = desc("presence_changes_total", "Changes that this node has learned of.", "kind")
	descRepairs    = desc("presence_repairs_total", "Times that what another node says was asked for anew.")
	descExpired    = desc("presence_expired_nodes_total", "Nodes that were believed no longer.")
	descTelling    = desc("presence_telling", "1 if this node tells the app who is there.")
	descTold       = desc("presence_told_total", "Deliveries to the app, by outcome.", "outcome")
	descUntold     = desc("presence_waiting", "Changes that the app is still to be told.")
	descBusUp      = desc("bus_connected", "1 while this node is connected to the others by Redis.")
	descBusSaid    = desc("bus_words_total", "Words between nodes, by outcome.", "outcome")
	descStore      = desc("store_connected", "1 while the history takes and gives events.")
	descHealthy    = desc("healthy", "1 if the hub takes events and delivers them.")
)

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, h := range allTimes {
		h.Describe(ch)
	}
	for _, d := range []*prometheus.Desc{
		descStreams, descOpened, descClosed, descToldGaps, descRefused, descDelivered, descSent, descBatches, descEvents, descDuplicates,
		descConflicts, descCommits, descFailed, descCommitTime, descLoops, descLoopTime, descChannels, descWindow,
		descHistory, descHistoryB, descFile, descHealthy, descStore, descBehind, descWebhooks, descUnmapped, descDropped, descUntimed,
		descAsked, descRechecked, descUnanswered, descGivenUp, descBlocked, descOverload, descNoStream, descRemembered, descWatched, descRechkBack,
		descReceived, descTaken, descUnmappedR, descLost, descGaps, descReconnects, descConnected,
		descPresent, descPresentIn, descAttending, descNodes, descComings, descRepairs, descExpired, descTelling, descTold, descUntold,
		descBusUp, descBusSaid,
		descTapped, descTapGaps, descTapWaiting, descFirst, descSeen, descAlone,
		descPullAsked, descPullTaken, descPullKnown, descPullUnmap, descPullDrop, descPullGaps, descPullPokes, descPullChans,
		descPullBehind, descPullPaused,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for _, h := range allTimes {
		h.Collect(ch)
	}
	for name, t := range c.app.tenancies {
		m := measured{ch, name}
		m.hub(t.hub.Stats())
		m.gauge(descHealthy, boolean(c.app.ready(name)))
		m.presence(t.hub)
		m.gauge(descStore, boolean(t.hub.Health() == nil))
		t.hub.webhooks.Range(func(path, counts any) bool {
			m.webhook(path.(string), counts.(*webhookCounts))
			return true
		})
		if st, ok := t.hub.tapStats(); ok {
			m.tap(st)
		}
		for _, way := range t.hub.origins.coverage() {
			m.counter(descFirst, way.First, way.Way)
			m.counter(descSeen, way.Seen, way.Way)
			m.gauge(descAlone, float64(way.Alone), way.Way)
		}
		if t.gate != nil {
			m.gate(t.gate.Stats())
			for status, n := range t.gate.refusals.counts() {
				m.counter(descNoStream, n, strconv.Itoa(status))
			}
		}
		for _, source := range t.sources {
			m.redis(source.Load().Name(), source.Load().Stats())
		}
		t.hub.eachPull(func(s *pull.Source) { m.pull(s.Name(), s.Stats()) })
	}
}

// measured writes the metrics of one hub.
type measured struct {
	ch      chan<- prometheus.Metric
	hubName string
}

func (m measured) write(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels []string) {
	m.ch <- prometheus.MustNewConstMetric(d, kind, v, append([]string{m.hubName}, labels...)...)
}

func (m measured) gauge(d *prometheus.Desc, v float64, labels ...string) {
	m.write(d, prometheus.GaugeValue, v, labels)
}

func (m measured) counter(d *prometheus.Desc, v uint64, labels ...string) {
	m.write(d, prometheus.CounterValue, float64(v), labels)
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (m measured) hub(st stream.Stats) {
	for k, v := range st.Open {
		m.gauge(descStreams, float64(v), k.Format, string(k.Kind))
	}
	for k, v := range st.Opened {
		m.counter(descOpened, v, k.Format, string(k.Kind))
	}
	for _, reason := range stream.Reasons {
		m.counter(descClosed, st.Closed[reason], string(reason))
	}
	for _, reason := range event.Reasons {
		m.counter(descToldGaps, st.Gaps[reason], string(reason))
	}
	for limit, v := range st.Refused {
		m.counter(descRefused, v, limit)
	}
	for format, v := range st.Delivered {
		m.counter(descDelivered, v, format)
	}
	m.gauge(descBehind, float64(st.Behind))
	m.counter(descSent, st.Bytes)
	m.counter(descBatches, st.Batches)
	m.counter(descEvents, st.Events)
	m.counter(descDuplicates, st.Duplicates)
	m.counter(descConflicts, st.Conflicts)
	m.counter(descCommits, st.Commits)
	m.counter(descFailed, st.FailedCommits)
	m.write(descCommitTime, prometheus.CounterValue, st.CommitTime.Seconds(), nil)
	m.counter(descLoops, st.Loops)
	m.write(descLoopTime, prometheus.CounterValue, st.LoopTime.Seconds(), nil)
	m.gauge(descChannels, float64(st.Channels))
	m.gauge(descWindow, float64(st.WindowBytes))
	m.gauge(descHistory, float64(st.Log.Events))
	m.gauge(descHistoryB, float64(st.Log.Bytes))
	m.gauge(descFile, float64(st.Log.FileSize))
}

func (m measured) webhook(path string, c *webhookCounts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for status, n := range c.requests {
		m.counter(descWebhooks, n, path, strconv.Itoa(status))
	}
	for reason, n := range c.unmapped {
		m.counter(descUnmapped, n, path, reason)
	}
	m.counter(descDropped, c.dropped, path)
	m.counter(descUntimed, c.untimed, path)
}

func (m measured) tap(st tap.Stats) {
	for rule, outcomes := range st.Rules {
		for outcome, n := range outcomes {
			m.counter(descTapped, n, rule, outcome)
		}
	}
	m.counter(descTapGaps, st.Gaps)
	m.gauge(descTapWaiting, float64(st.Waiting))
}

func (m measured) gate(st access.Stats) {
	m.counter(descAsked, st.Questions)
	m.counter(descRechecked, st.Rechecks)
	m.counter(descUnanswered, st.Failures)
	m.counter(descGivenUp, st.GivenUp)
	m.counter(descBlocked, st.Blocked)
	m.counter(descOverload, st.Refused)
	m.counter(descRemembered, st.Remembered)
	m.gauge(descWatched, float64(st.Watched))
	m.gauge(descRechkBack, st.Behind.Seconds())
}

func (m measured) redis(source string, st redis.Stats) {
	m.counter(descReceived, st.Received, source)
	m.counter(descTaken, st.Published, source)
	for reason, n := range st.UnmappedFor {
		m.counter(descUnmappedR, n, source, reason)
	}
	m.counter(descLost, st.Lost, source)
	m.counter(descGaps, st.Gaps, source)
	m.counter(descReconnects, st.Reconnects, source)
	m.gauge(descConnected, boolean(st.Connected), source)
}

func (m measured) pull(source string, st pull.Stats) {
	for status, n := range st.Questions {
		m.counter(descPullAsked, n, source, status)
	}
	m.counter(descPullTaken, st.Published, source)
	m.counter(descPullKnown, st.Duplicates, source)
	for reason, n := range st.UnmappedFor {
		m.counter(descPullUnmap, n, source, reason)
	}
	m.counter(descPullDrop, st.Dropped, source)
	m.counter(descPullGaps, st.Gaps, source)
	m.counter(descPullPokes, st.Pokes, source)
	m.gauge(descPullChans, float64(st.Channels), source)
	m.gauge(descPullBehind, st.Behind.Seconds(), source)
	m.gauge(descPullPaused, boolean(st.Paused), source)
}
