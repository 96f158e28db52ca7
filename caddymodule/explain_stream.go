package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/access"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// StreamExplanation is what becomes of a request for a stream, step by step.
// It holds no secret of the client.
type StreamExplanation struct {
	// Notes tell what stands in front of the handler, and what it did. Unsure:
	// some of it cannot be followed, and the server may do something else.
	Notes  []string
	Unsure bool

	Hub, Endpoint, Format string
	// Channels are what the client asked for, in their canonical form; Private
	// adds its user's own.
	Channels []string
	Private  bool
	// Credential says in words what the client proves itself with.
	Credential string
	// Exchanges are the questions that were put to the backend.
	Exchanges []Exchange
	// Listens are the channels that the client would get.
	Listens []string
	// Shown says in words what the client has to do with presence.
	Shown []string
	// Session: the endpoint has sessions, of which the app is asked as they subscribe.
	// The request was not served, and there is no answer.
	Session bool
	// Status, Header and Body are the client's answer. With Opened, it is a
	// stream: Body is empty.
	Status int
	Header http.Header
	Body   string
	Opened bool
}

// Exchange is one question to the backend, and what was made of its answer.
type Exchange struct {
	// Channel is what was asked about; "" where the question is who the client
	// is, or which channels it has.
	Channel string
	forwardauth.Exchange
	// Outcome and User are the verdict; Why are the reasons for it, in order.
	Outcome, User string
	Why           []string

	listed []string // the answer, where it lists all channels of the client
	list   bool
}

// Stream explains a GET for a stream. The backend is really asked, as for a
// client on this machine, and so is whatever a forward_auth in front asks.
func (x *Explainer) Stream(r *http.Request) (*StreamExplanation, error) {
	var explained *StreamExplanation
	x.takes = func(s *Sidestream, w http.ResponseWriter, r *http.Request) bool {
		claimed, ok := s.server.Claim(r)
		if ok {
			explained = s.explain(w, r, claimed)
		}
		return ok
	}
	way, answer, err := x.find(r)
	if err != nil {
		return nil, err
	}
	explained.Notes, explained.Unsure = way.notes()
	explained.Status, explained.Header, explained.Body = answer.status, answer.header, answer.body.String()
	return explained, nil
}

// explain serves a request as the server does, but for limits and history, and
// shows how it went.
func (s *Sidestream) explain(w http.ResponseWriter, r *http.Request, claimed endpoint.Claimed) *StreamExplanation {
	trace, rec := new(endpoint.Trace), new(recorder)
	gate := &forwardauth.Gate{Gate: access.New(s.Auth.gateConfig(), func(ctx context.Context, q access.Question) access.Verdict {
		v := s.auth.Ask(ctx, q)
		rec.add(q, v)
		return v.Verdict
	})}
	defer gate.Close()
	s.server.Hub, s.server.Gate, s.server.Names, s.server.Trace = noHub{}, gate, s.names, trace
	s.server.Attach = func(w http.ResponseWriter, _ *http.Request, _ stream.Opening, _ func(*stream.Stream)) (func(context.Context), error) {
		w.WriteHeader(http.StatusOK)
		return nil, nil
	}
	claimed.Serve(w, r)
	x := &StreamExplanation{
		Hub: s.Hub, Endpoint: trace.Endpoint, Channels: trace.Ask.Channels, Private: trace.Ask.Private, Credential: trace.Credential,
		Listens: trace.Listens, Opened: trace.Opened, Session: trace.Session, Shown: trace.Shown,
	}
	if trace.Ask.Format != nil {
		x.Format = trace.Ask.Format.Name()
	}
	if !s.Auth.None {
		x.Exchanges = rec.inOrder(trace.Ask.Channels)
	}
	return x
}

// noHub lets everybody in, and has no history.
type noHub struct{}

func (noHub) Seam(events []event.Event, _ event.Cursor) ([]event.Event, []string, error) {
	return events, nil, nil
}

func (noHub) Admit(stream.Candidate) (*stream.Ticket, error) { return nil, nil }

func (noHub) Resolve([]string, stream.From) (stream.Start, error) { return stream.Start{}, nil }

func (noHub) Preview([]string, stream.From) (stream.Start, error) { return stream.Start{}, nil }

func (noHub) ShowSince(context.Context, string, []string) (*stream.Shown, error) { return nil, nil }

func (noHub) ShowNothing([]string) *stream.Shown { return nil }

func (noHub) RightEnded(string, string) {}

func (noHub) CursorAt(uint64) (event.Cursor, error) { return event.Cursor{}, nil }

func (noHub) Shared() bool { return false }

func (noHub) StoreRecord(context.Context, string, []byte, time.Time) error { return nil }

func (noHub) KeepRecord(string, []byte, time.Time) {}

func (noHub) Record(string) ([]byte, bool, error) { return nil, false, nil }

func (noHub) Head() event.Cursor { return event.Cursor{} }

// NewReader is not called: sessions are not explained.
func (noHub) NewReader(*stream.Ticket) *stream.Reader { return nil }

// Publish is not called, for the same reason.
func (noHub) Publish(context.Context, event.Batch) ([]event.Receipt, error) {
	return nil, event.ErrClosed
}

// recorder keeps what was asked. Safe for concurrent use.
type recorder struct {
	mu        sync.Mutex
	exchanges []Exchange
}

// add keeps a question, with the trace of its verdict.
func (rec *recorder) add(q access.Question, v forwardauth.Verdict) {
	x := Exchange{
		Channel: q.Channel, Exchange: v.Trace.Exchange(), Outcome: v.Outcome.String(), User: v.User, Why: v.Trace.Steps,
	}
	if q.List {
		x.Channel, x.list, x.listed = "", v.Outcome == access.Allowed, v.Channels
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.exchanges = append(rec.exchanges, x)
}

// inOrder lists the questions in the order of the channels, and what is about
// none of them behind.
func (rec *recorder) inOrder(channels []string) []Exchange {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	place := func(x Exchange) int {
		if i := slices.Index(channels, x.Channel); i >= 0 {
			return i
		}
		return len(channels)
	}
	for i := range rec.exchanges {
		rec.exchanges[i].judgeList(channels)
	}
	slices.SortStableFunc(rec.exchanges, func(a, b Exchange) int { return place(a) - place(b) })
	return rec.exchanges
}

// judgeList says of an answer that lists channels what it means for those that
// were asked for.
func (x *Exchange) judgeList(channels []string) {
	if !x.list {
		return
	}
	for _, name := range channels {
		if !slices.Contains(x.listed, name) {
			x.Outcome = access.Denied.String()
			x.Why = append(x.Why, fmt.Sprintf("%q is not in the list", name))
		}
	}
}
