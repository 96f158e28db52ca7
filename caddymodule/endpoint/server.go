package endpoint

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/bus"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
	"github.com/seed-078801ba/sidestream/stream/presence"
)

// Server serves the endpoints of one site. Fill in everything but the optional,
// add the endpoints, and it is safe for concurrent use.
type Server struct {
	Hub  Hub
	Auth *forwardauth.Auth
	// Gate asks the backend, and remembers.
	Gate *forwardauth.Gate
	// Names is how the hub's channels are named. All sites of a hub share it.
	Names *event.Names
	// Intersect: of several channels, those that are allowed are streamed.
	// Otherwise all must be.
	Intersect bool
	// Hide answers as if a channel that is denied did not exist.
	Hide bool
	// Revocable: somebody may say that a user's rights have changed.
	Revocable bool
	// Attach makes a stream of a response.
	Attach Attach
	// Roster is who is there, in the whole hub.
	Roster *presence.Roster
	// Presence is who of the site's clients is shown to be there, and who is told.
	// nil: nobody.
	Presence *Presence
	// Bus carries what is worth something now or never to the hub's other nodes.
	Bus bus.Bus
	// UpgradeTo is Attach for a WebSocket, see Upgrade.
	UpgradeTo Attach
	// Scope names the site, and how its backend is asked, over reloads.
	Scope string
	// Lasting keeps the sessions of endpoints that have some, with the hub.
	Lasting *Lasting
	// Ending is done when the HTTP server ends that the requests come from, in a
	// reload or at the end: what is held is answered then. Nil: it never does.
	Ending context.Context
	// Address is who sends a request, by the rules for trusted proxies; invalid
	// if it has no address.
	Address func(*http.Request) netip.Addr
	Logger  *slog.Logger
	// Refused, if set, is told of every refusal.
	// Opened, if set, is told how long a stream took to open: the question to the
	// backend, and the look into the history. It must not wait.
	Opened  func(took time.Duration)
	Refused func(*Refusal)
	// Backfill, if set, gives clients what the history no longer has.
	Backfill Backfill
	// Trace, if set, notes what becomes of a request. Then the Server is for one
	// request only.
	Trace *Trace

	mounted []mounted
}

// Hub is what a Server needs of a stream.Hub.
type Hub interface {
	Admit(stream.Candidate) (*stream.Ticket, error)
	NewReader(*stream.Ticket) *stream.Reader
	Head() event.Cursor
	event.Publisher
	CursorAt(seq uint64) (event.Cursor, error)
	Shared() bool
	StoreRecord(ctx context.Context, id string, value []byte, until time.Time) error
	KeepRecord(id string, value []byte, until time.Time)
	Record(id string) (value []byte, ok bool, err error)
	Resolve(channels []string, from stream.From) (stream.Start, error)
	Seam(events []event.Event, at event.Cursor) (given []event.Event, later []string, err error)
	Preview(channels []string, from stream.From) (stream.Start, error)
	ShowSince(ctx context.Context, user string, channels []string) (*stream.Shown, error)
	ShowNothing(channels []string) *stream.Shown
	RightEnded(user, channel string)
}

// Attach writes the head of a response, whose headers are set, and makes a
// stream of it. It owns the ticket of the opening from then on. opened is called
// with the stream before anything can wait for its end. Where the handler has to
// stay for as long as the stream lives, wait is not nil and must be called.
type Attach func(w http.ResponseWriter, r *http.Request, o stream.Opening, opened func(*stream.Stream)) (wait func(context.Context), err error)

// mounted is an endpoint with what the site says of it.
type mounted struct {
	Endpoint
	name      string
	origins   *Origins
	heartbeat time.Duration
	specs     map[format.Format]*stream.Spec
}

// Mount adds an endpoint, which is offered requests after those that are there
// already.
func (s *Server) Mount(name string, e Endpoint, origins *Origins, heartbeat time.Duration) {
	m := mounted{Endpoint: e, name: name, origins: origins, heartbeat: heartbeat, specs: map[format.Format]*stream.Spec{}}
	for _, name := range format.Names() {
		if f, ok := format.ByName(name); ok {
			m.specs[f] = &stream.Spec{Format: f, Heartbeat: heartbeat}
		}
	}
	s.mounted = append(s.mounted, m)
}

// Claimed is a request that is for one of the endpoints.
type Claimed struct {
	server *Server
	to     *mounted
	claim  Claim
	line   Line
}

// Claim finds the endpoint that a request is for; false if there is none.
func (s *Server) Claim(r *http.Request) (Claimed, bool) {
	line := ReadLine(r)
	for i := range s.mounted {
		if c := s.mounted[i].Claims(line, r); c != NotOurs {
			return Claimed{s, &s.mounted[i], c, line}, true
		}
	}
	return Claimed{}, false
}

// Traced is the same request, which leaves a trace as it is served.
func (c Claimed) Traced(t *Trace) Claimed {
	traced := *c.server
	traced.Trace = t
	c.server = &traced
	return c
}

// Mask hides what of the request's address is a secret of the endpoint's clients.
func (c Claimed) Mask(uri string) string {
	if e, ok := c.to.Endpoint.(Masking); ok {
		return e.Mask(uri)
	}
	return uri
}

// Serve answers the request. If it opens a stream and returns a function, the
// handler must call that and stay until it returns.
func (c Claimed) Serve(w http.ResponseWriter, r *http.Request) (wait func(context.Context)) {
	c.server.Trace.claimed(c.to.name)
	switch e := c.to.Endpoint.(type) {
	case Streaming:
		return c.server.serveStream(w, r, c, e)
	case Sessions:
		if re := screenLine(r, c.claim); re != nil {
			http.Error(w, re.Message, re.Status)
			return nil
		}
		if c.server.Trace.session() {
			return nil
		}
		return e.Serve(w, r, c.line, c.server)
	case Answering:
		if re := screenLine(r, c.claim); re != nil {
			http.Error(w, re.Message, re.Status)
			return nil
		}
		e.Answer(w, r, c.server, c.to.origins)
	}
	return nil
}

// serveStream opens a stream, or says why not.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request, c Claimed, e Streaming) (wait func(context.Context)) {
	if r.Method == http.MethodOptions && c.claim == Ours {
		c.to.origins.preflight(w, r)
		return nil
	}
	c.to.origins.Mark(w.Header(), r)
	var a Ask
	re := screen(r, c.claim)
	if re == nil {
		a, re = e.Ask(c.line, r)
		a.Channels = s.Names.CanonicalAll(a.Channels)
		s.Trace.asked(&a)
	}
	if re == nil {
		wait, re = s.open(w, r, c.to, &a)
	}
	if re != nil {
		s.Logger.Debug("a stream was refused", "endpoint", c.to.name, "reason", re.Reason, "status", re.Status)
		s.Trace.refused(re)
		if s.Refused != nil {
			s.Refused(re)
		}
		refuse(w, r, e, a.Format, re)
	}
	return wait
}

// screenLine refuses what no endpoint takes.
func screenLine(r *http.Request, c Claim) *Refusal {
	switch {
	case c == Crooked:
		return refusedLine
	case c == Declined:
		return refusedMethod
	case r.Header.Get(forwardauth.CheckHeader) != "":
		return refusedLoop
	}
	return nil
}

// screen refuses what no endpoint with a stream takes.
func screen(r *http.Request, c Claim) *Refusal {
	if re := screenLine(r, c); re != nil {
		return re
	}
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		// What is not read of a body would be taken for the next request, or
		// end the stream after Caddy's deadline for bodies.
		return badRequest("a stream request has no body")
	}
	return nil
}

// open takes a request through limits, the backend's word and the log, and
// makes a stream of it. Nothing is written if it returns a refusal.
func (s *Server) open(w http.ResponseWriter, r *http.Request, to *mounted, a *Ask) (wait func(context.Context), re *Refusal) {
	credential, re := s.credentialOf(r, to.origins)
	if re != nil {
		return nil, re
	}
	client := s.Auth.Client(r, credential)
	client.Address, client.Foreign = s.Address(r), to.origins.OtherSite(r)
	candidate := stream.Candidate{Address: client.Address, Channels: len(a.Channels), Credential: credential.Who(), Proofs: credential.Proofs(), Asking: true}
	ticket, err := s.Hub.Admit(candidate)
	if err != nil {
		return nil, refusalOfLimit(err)
	}
	opened := false
	defer func() {
		if !opened {
			ticket.Release()
		}
	}()
	asked := time.Now()
	admission, re := s.admit(r.Context(), a, client)
	if re != nil {
		if re == refusedUnknown && s.Hide {
			waitForStep(r.Context(), asked)
		}
		return nil, re
	}
	ticket.Identify(admission.who())
	if err := ticket.Grant(rooms(admission.channels)...); err != nil {
		return nil, refusalOfLimit(err)
	}
	from := a.From
	if from.Shown, err = s.shown(r.Context(), admission); err != nil {
		s.Logger.Error("a stream could not be opened", "error", err)
		return nil, unavailable(0)
	}
	resolve := s.Hub.Resolve
	if r.Method == http.MethodHead {
		resolve = s.Hub.Preview // nothing is kept for it
	}
	if s.Backfill != nil {
		if id := messageOf(&from); id != "" { // Last-Event-ID may be the app's id, too
			from.Cursor, from.MessageID = "", id
		}
	}
	found, err := resolve(admission.channels, from)
	var start beginning
	if err == nil {
		start, err = s.fill(r, client, a, admission.channels, from, found)
	}
	if err != nil {
		if !errors.Is(err, event.ErrUnavailable) { // of that, the hub has told
			s.Logger.Error("a stream could not be opened", "error", err)
		}
		return nil, unavailable(0)
	}
	s.Trace.opened(admission)
	writeHead(w.Header(), r, a, admission, start.Start)
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil, nil
	}
	opened = true
	if s.Opened != nil {
		s.Opened(time.Since(asked))
	}
	watch := newWatch(s.Gate, ticket, s.Intersect)
	if s.Auth.Shows() == forwardauth.ShownSinceJoin {
		watch.rights, watch.user = s.Hub, admission.user
	}
	watch.there = s.Presence.attend(a, admission)
	s.Trace.attends(watch.there, s.Presence)
	wait, err = s.Attach(w, r, stream.Opening{
		Spec: to.specs[a.Format], Channels: admission.channels, Start: start.Start, Prelude: start.prelude, Given: start.given, Ticket: ticket,
		Client: &stream.Client{Address: client.Address, User: admission.user}, OnClose: watch.close,
	}, func(st *stream.Stream) { watch.begin(st, admission) })
	if err != nil {
		s.Logger.Debug("a stream ended as it was opened", "error", err)
	}
	return wait, nil
}

// rooms are the channels that limits count: all but the client's own private one.
func rooms(channels []string) []string {
	return slices.DeleteFunc(slices.Clone(channels), func(name string) bool {
		return strings.HasPrefix(name, event.UserPrefix)
	})
}

// hideStep is what refusals of hidden channels are rounded up to: how fast an app
// says no must not tell whether there is such a channel.
const hideStep = 100 * time.Millisecond

// waitForStep waits until a whole number of steps has passed, or the client has
// gone.
func waitForStep(ctx context.Context, since time.Time) {
	passed := time.Since(since)
	timer := time.NewTimer(hideStep - passed%hideStep)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// writeHead sets the headers of a stream. No proxy may store, compress or
// gather it; the connection ends with it, because clients wait for that.
func writeHead(h http.Header, r *http.Request, a *Ask, ad *admission, start stream.Start) {
	h.Set("Content-Type", a.Format.ContentType())
	h.Set("Cache-Control", "no-cache, no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // the address may hold a token
	h.Set("Incremental", "?1")
	if r.ProtoMajor == 1 {
		h.Set("Connection", "close")
	}
	if resume := start.Resume(); resume != "" {
		h.Set("Stream-Resume", resume)
	}
	if len(ad.refused) > 0 {
		h.Set("Stream-Refused", escapedNames(ad.refused))
	}
}

// refusalOfLimit is what a client is told when a limit is reached.
func refusalOfLimit(err error) *Refusal {
	var limit *stream.LimitError
	if !errors.As(err, &limit) {
		return unavailable(0)
	}
	return tooMany(limit.Limit, limit.Policy, limit.RetryAfter)
}
