package redis

import (
	"slices"
	"time"

	"github.com/redis/rueidis"
)

// onSubscription runs in the goroutine that reads the connection.
func (n *session) onSubscription(p rueidis.PubSubSubscription) {
	key := p.Kind + " " + p.Channel
	if _, ok := n.unconfirmed[key]; ok {
		delete(n.unconfirmed, key)
		if len(n.unconfirmed) == 0 {
			close(n.confirmed)
		}
		return
	}
	if p.Kind != "subscribe" {
		return
	}
	// One that came on demand: nobody listened to it until now.
	n.mu.Lock()
	d, ok := n.names[p.Channel]
	n.mu.Unlock()
	if !ok {
		return
	}
	if n.s.options.SharedLog == "" {
		n.demandIsHeard(d)
		return
	}
	// It counts from the next window on, as it does for the other nodes.
	n.fresh[p.Channel] = d
	n.speakUp(signal{kind: probeSignal, token: newToken()})
}

// demandIsHeard notes that from now on nothing is missed of a channel.
func (n *session) demandIsHeard(d demanded) {
	if d.first {
		n.s.queue.note(item{kind: followed, channel: d.channel, token: n.token})
	}
}

// onMessage runs in the goroutine that reads the connection: it must not wait.
func (n *session) onMessage(m rueidis.PubSubMessage) {
	n.noteHalt(time.Now().Round(0))
	if m.Channel == n.s.plan.ProbeChannel {
		if m.Pattern == "" {
			n.onSignal(m.Message)
		}
		return
	}
	if !n.s.plan.first(m.Pattern, m.Channel, n.s.plan.OnDemand) {
		return
	}
	if _, fresh := n.fresh[m.Channel]; fresh || n.window == "" {
		// Before the first window, or after the beginning of the channel's:
		// a gap is told here, unless another node has heard it.
		return
	}
	n.s.counts.received.Add(1)
	counter := m.Channel
	if n.s.options.SharedLog == "" {
		counter = "" // nobody else counts, and the window does not end
	}
	i := item{kind: heard, channel: m.Channel, payload: m.Message, window: n.window, ordinal: n.ordinals[counter]}
	n.ordinals[counter]++
	if int64(len(m.Message)) > n.s.plan.decoder.MaxBody() {
		n.s.counts.refused.Add(1)
		return
	}
	if !n.s.queue.push(i) {
		n.s.counts.lost.Add(1)
	}
}

// noteHalt ends a session of a shared log when nothing was read for so long that
// signals still to be read may be too old to count. Without them our windows would
// differ from those of the other nodes, and messages be stored twice.
func (n *session) noteHalt(now time.Time) {
	limit := max(signalAge*3/4, n.s.plan.probe+5*time.Second)
	if n.s.options.SharedLog != "" && !n.lastRead.IsZero() && now.Sub(n.lastRead) > limit {
		n.window = "" // what comes next is not ours to store
		n.cancel(errHalted)
	}
	n.lastRead = now
}

// onSignal runs in the goroutine that reads the connection.
func (n *session) onSignal(text string) {
	g, ok := n.s.signatures.open(text)
	if !ok || g.scope != n.s.scope {
		return
	}
	if now := time.Now(); !n.s.repeats.fresh(&g, now) {
		if ahead := time.Unix(g.sent, 0).Sub(now); ahead.Abs() > signalAge {
			n.s.trouble.report("a signal of another node is not of now: it was repeated by somebody, or the clocks of the nodes are more than a minute apart")
		}
		return
	}
	if n.s.options.SharedLog != "" && (n.window != "" || g.token == n.question) {
		n.window = g.token
		clear(n.ordinals)
		for _, d := range n.fresh {
			n.demandIsHeard(d)
		}
		clear(n.fresh)
	}
	if g.session != n.token {
		n.s.peerHeard.Store(time.Now().UnixNano())
	}
	switch {
	case g.session == n.token:
		n.heard()
		if g.token == n.question && !n.isOpen {
			n.isOpen = true
			close(n.opened)
		}
	case g.kind == askSignal:
		n.peerAsks.Store(true)
		n.s.queue.note(item{kind: asked, token: g.token, session: n})
	case g.kind == answerSignal && g.answers == n.question:
		n.settleAs(true, g.gap)
	}
}

// answer tells another node that this one has been listening, and has stored
// everything that it heard before the question.
func (n *session) answer(question, gap string) {
	n.speakUp(signal{kind: answerSignal, token: newToken(), answers: question, gap: gap})
}

// first tells whether a message came by the first of the subscriptions that it
// matches: Redis sends it once for each of them.
func (p *plan) first(pattern, channel string, onDemand bool) bool {
	if pattern == "" || onDemand {
		return pattern == ""
	}
	if slices.Contains(p.Subscribe, channel) {
		return false
	}
	for _, other := range p.PSubscribe {
		if other == pattern {
			return true
		}
		if globMatch(other, channel) {
			return false
		}
	}
	return true
}
