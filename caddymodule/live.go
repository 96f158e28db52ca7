package caddymodule

import (
	"net/http"
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/caddymodule/operator"
	"github.com/seed-078801ba/sidestream/stream/access"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook"
)

// tellArrival tells whoever watches what a way in has brought.
func (p *pooledHub) tellArrival(from string, events []event.Event, receipts []event.Receipt, err error) {
	if len(events) == 0 || !p.live.Watched() {
		return
	}
	h := operator.Happening{Hub: p.Name(), Kind: operator.Arrived, From: from, Messages: operator.Messages(events, receipts)}
	if err != nil {
		h.Reason = err.Error()
	}
	p.live.Tell(h)
}

// tellOutcome tells of a webhook that came to nothing, or to less than it brought.
func (p *pooledHub) tellOutcome(from string, o *webhook.Outcome) {
	if !p.live.Watched() || o.Err == nil && o.Unmapped == 0 && o.Dropped == 0 {
		return
	}
	p.live.Tell(operator.Happening{
		Hub: p.Name(), Kind: operator.Arrived, From: from, Status: o.Status, Reason: o.Reason, Dropped: o.Dropped, Unmapped: o.Unmapped,
	})
}

// unusedBy tells of what a source has brought to no avail.
func (p *pooledHub) unusedBy(from string) func(reason string) {
	return func(reason string) {
		p.live.Tell(operator.Happening{Hub: p.Name(), Kind: operator.Arrived, From: from, Unmapped: 1, Reason: reason})
	}
}

// tellQuestion tells what the backend was asked, and what its answer means.
func (p *pooledHub) tellQuestion(q access.Question, v *forwardauth.Verdict, took time.Duration) {
	p.times.question.Observe(took.Seconds())
	if !p.live.Watched() {
		return
	}
	h := operator.Happening{Hub: p.Name(), Kind: operator.Question, Channel: q.Channel, Outcome: v.Outcome.String(), User: v.User, Why: v.Trace.Steps, Seconds: took.Seconds()}
	x := v.Trace.Exchange()
	if h.Status = x.Status; x.Method != "" {
		h.Asked = x.Method + " " + x.URI
	}
	p.live.Tell(h)
}

// traced has a request for a stream leave a trace, if somebody watches. told tells them
// when it is answered.
func (s *Sidestream) traced(claimed endpoint.Claimed, r *http.Request) (traced endpoint.Claimed, told func()) {
	if !s.live.Watched() {
		return claimed, func() {}
	}
	t := new(endpoint.Trace)
	return claimed.Traced(t), func() {
		h := operator.Happening{
			Hub: s.Hub, Kind: operator.Opened, Endpoint: t.Endpoint, Channels: t.Ask.Channels, Credential: t.Credential, User: t.User, Status: http.StatusOK,
		}
		if address := s.clientAddress(r); address.IsValid() {
			h.Address = address.String()
		}
		if t.Ask.Format != nil {
			h.Format = t.Ask.Format.Name()
		}
		switch {
		case t.Refusal != nil:
			h.Kind, h.Status, h.Reason = operator.Refused, t.Refusal.Status, t.Refusal.Reason
		case !t.Opened:
			return // no request for a stream, or one of a session
		}
		s.live.Tell(h)
	}
}
