package endpoint

import (
	"io"
	"net/http"
	"strconv"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
	"github.com/seed-078801ba/sidestream/stream/presence"
)

// Roll answers who is there: GET /presence?channel= for whoever may listen to the
// channel, and GET /presence?user= for the app. A POST has the app told anew.
type Roll struct {
	Place
	// Secrets are the app's.
	Secrets forwardauth.Secrets
	// Snapshot has the app told who is in a channel, in all if it is empty; false if
	// it is not told anything.
	Snapshot func(channel string) bool
}

// Answering is an endpoint whose requests are answered at once.
type Answering interface {
	Endpoint
	// Answer answers a request that it has claimed, for pages of these origins.
	Answer(w http.ResponseWriter, r *http.Request, s *Server, o *Origins)
}

var _ Answering = (*Roll)(nil)

// Claims implements Endpoint.
func (e *Roll) Claims(line Line, _ *http.Request) Claim {
	is := func(rest []string) bool { return len(rest) == 1 && rest[0] == "presence" }
	if rest, ok := line.Under(&e.Place); ok && is(rest) {
		return Ours
	}
	for _, rest := range line.LooselyUnder(&e.Place) {
		if is(rest) {
			return Crooked
		}
	}
	return NotOurs
}

// Answer implements Answering.
func (e *Roll) Answer(w http.ResponseWriter, r *http.Request, s *Server, o *Origins) {
	if r.Method == http.MethodOptions {
		o.preflight(w, r)
		return
	}
	o.Mark(w.Header(), r)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // the address may hold a token
	body, re := e.answer(r, s, o)
	if re != nil {
		s.Trace.refused(re)
		if s.Refused != nil {
			s.Refused(re)
		}
		e.refuse(w, r, s, re)
		return
	}
	if body == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

// answer is the body of the answer; nil where something was only asked for.
func (e *Roll) answer(r *http.Request, s *Server, o *Origins) ([]byte, *Refusal) {
	query, err := readQuery(r.URL.RawQuery, "channel", "user")
	if err != nil {
		return nil, badRequest("the query is not in canonical form")
	}
	channel, user := s.Names.Canonical(query["channel"]), query["user"]
	if channel != "" && !event.ValidChannel(channel) {
		return nil, badRequest("there is no such channel")
	}
	app := e.Secrets.Presented(r)
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		switch {
		case !app:
			return nil, refusedApp
		case user != "":
			return nil, badRequest("the app is told of channels; name one, or none for all")
		case !e.Snapshot(channel):
			return nil, refusedTelling
		}
		return nil, nil
	default:
		return nil, refusedMethod
	}
	switch {
	case (channel == "") == (user == ""):
		return nil, badRequest("write presence?channel=<channel>, or presence?user=<user> with the secret of the app")
	case user != "" && !app:
		return nil, refusedApp
	case user != "":
		p := places(user, s.Roster.User(user))
		return append(format.AppendPlaces(nil, &p), '\n'), nil
	}
	if !app {
		if re := s.mayKnow(r, channel, o); re != nil {
			return nil, re
		}
	}
	if !s.Presence.Shows(channel) {
		return nil, refusedRoll
	}
	return appendRoll(nil, channel, s.Roster), nil
}

var (
	refusedApp     = &Refusal{Status: http.StatusUnauthorized, Message: "only the app may ask this, with its secret: Authorization: Bearer <secret>", Reason: "unauthenticated"}
	refusedTelling = &Refusal{Status: http.StatusNotFound, Message: "the app is not told who is there: the configuration has no presence { tell }", Reason: "not-found"}
	refusedRoll    = &Refusal{Status: http.StatusNotFound, Message: "nobody is told who is in this channel", Reason: "not-found"}
)

// mayKnow asks whether the client may listen to a channel: then it may know who is
// there.
func (s *Server) mayKnow(r *http.Request, channel string, o *Origins) *Refusal {
	credential, re := s.credentialOf(r, o)
	if re != nil {
		return re
	}
	client := s.Auth.Client(r, credential)
	client.Address, client.Foreign = s.Address(r), o.OtherSite(r)
	admission, re := s.admit(r.Context(), &Ask{Channels: []string{channel}}, client)
	if re != nil {
		return re
	}
	s.Trace.opened(admission)
	return nil
}

// refuse says why not, as JSON.
func (e *Roll) refuse(w http.ResponseWriter, r *http.Request, s *Server, re *Refusal) {
	h := w.Header()
	if re.After > 0 {
		h.Set("Retry-After", strconv.Itoa(int(re.After.Seconds()+0.999)))
	}
	switch re.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case http.StatusMethodNotAllowed:
		h.Set("Allow", "GET, HEAD, OPTIONS, POST")
	}
	contentType, body := (*flowdock)(nil).Explain(re)
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(re.Status)
	if r.Method != http.MethodHead {
		io.WriteString(w, body)
	}
}

// appendRoll appends who is in a channel.
func appendRoll(dst []byte, channel string, r *presence.Roster) []byte {
	users, count := r.Channel(channel)
	c := presence.Change{Kind: presence.Listed, Present: presence.Present{Channel: channel}, Count: count, Users: users}
	if users == nil && count > 0 {
		c.Kind = presence.Counted
	}
	p := PresenceOf(&c)
	return append(format.AppendPresence(dst, &p), '\n')
}

// places is where a user is, as formats write it.
func places(user string, there []presence.Present) (p format.Presence) {
	state := presence.Offline
	for _, place := range there {
		state = max(state, place.State)
		p.Users = append(p.Users, format.Presence{
			Channel: place.Channel, User: user, State: place.State.String(), Streams: place.Streams, Since: place.Since,
		})
	}
	p.User, p.State = user, state.String()
	return p
}
