package tambur

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/access"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// subscriber is one connection of a client. Its id is its own for as long as it lasts,
// and so are the tokens that the app makes for it. Safe for concurrent use.
type subscriber struct {
	id     string
	hub    *hub
	key    appKey
	client *forwardauth.Client
	ticket *stream.Ticket
	door   *stream.Door
	ctx    context.Context // ends with it
	cancel context.CancelFunc

	turn sync.Mutex // held while a command is done

	mu      sync.Mutex
	line    line
	user    string // as the backend calls it, once it has
	streams map[string]*subscription
	waiting []command // of a socket, behind one that waits
	working bool
	closed  bool
}

// line is how a subscriber is reached: a *stream.Stream, or what polls.
type line interface {
	Send(message []byte)
	Join(channel string, start stream.Start)
	Leave(channel string)
	End(reason stream.CloseReason)
}

// subscription is a stream that a client has subscribed to, and its modes.
type subscription struct {
	name    string
	channel string
	auth    bool
	present *seat    // nil: off
	direct  []string // users, the last one speaks
}

// Bounds of one subscriber.
const (
	maxWaiting = 64 // commands behind one that waits
	maxDirect  = 8  // users of one stream
)

// admit makes a subscriber of a client. Whoever attaches its line owns the ticket.
func (h *hub) admit(client *forwardauth.Client, s *endpoint.Server, app *application) (*subscriber, error) {
	ticket, err := s.Hub.Admit(stream.Candidate{Address: client.Address, Credential: client.Credential.Who()})
	if err != nil {
		return nil, err
	}
	sub := &subscriber{
		id: newID(), hub: h, key: appKey{app.key, app.id}, client: client, ticket: ticket, streams: map[string]*subscription{},
	}
	sub.ctx, sub.cancel = context.WithCancel(context.Background())
	sub.door = stream.NewDoor(s.Gate.Gate, ticket, sub.rightEnded)
	return sub, nil
}

// newID is a UUID of 122 random bits (RFC 9562, 5.4), in the spelling of the service.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// private is the channel of what is said to this subscriber alone.
func (s *subscriber) private() string { return event.ModeChannel(s.key.id, modePrivate, s.id) }

// attach gives the subscriber its line, unless it has it.
func (s *subscriber) attach(l line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line = l
}

// said takes what the client says over a socket. It is called by the stream's shard:
// what has to wait, and all that follows it, goes to a goroutine.
func (s *subscriber) said(st *stream.Stream, text []byte) {
	c, answer := parse(text)
	if answer != "" {
		st.Send(format.AppendTamburAck(nil, c.handle, answer))
		return
	}
	s.mu.Lock()
	s.line = st
	if s.closed {
		s.mu.Unlock()
		return
	}
	if s.working || c.waits() {
		defer s.mu.Unlock()
		if len(s.waiting) >= maxWaiting {
			st.End(stream.Flooding)
			return
		}
		s.waiting = append(s.waiting, c)
		if !s.working {
			s.working = true
			go s.work() // ends when nothing waits
		}
		return
	}
	s.mu.Unlock()
	s.answer(c)
}

// work does the commands that wait, in their order.
func (s *subscriber) work() {
	for {
		s.mu.Lock()
		if len(s.waiting) == 0 || s.closed {
			s.working, s.waiting = false, nil
			s.mu.Unlock()
			return
		}
		c := s.waiting[0]
		s.waiting = s.waiting[1:]
		s.mu.Unlock()
		s.answer(c)
	}
}

// answer does a command and answers it.
func (s *subscriber) answer(c command) {
	ack := format.AppendTamburAck(nil, c.handle, s.do(c))
	s.mu.Lock()
	l := s.line
	s.mu.Unlock()
	l.Send(ack)
}

// do does a command, and says what came of it.
func (s *subscriber) do(c command) string {
	s.turn.Lock()
	defer s.turn.Unlock()
	server, app := s.hub.current(s.key)
	if app == nil {
		return answerLater // the configuration has it no longer
	}
	name := c.args[0]
	if c.name == "set_mode" || c.name == "unset_mode" {
		name = c.args[1]
	}
	if name == modePrivate && (c.name == "subscribe" || c.name == "unsubscribe") {
		return answerOK // it is always on; clients that come back subscribe to it
	}
	sub := s.subscription(name)
	switch {
	case c.name == "subscribe" && sub != nil:
		return answerTwice
	case c.name == "subscribe":
		return s.subscribe(server, app, name)
	case sub == nil:
		return answerNotIn
	}
	switch c.name {
	case "unsubscribe":
		s.drop(sub)
		return answerOK
	case "set_mode":
		return s.setMode(server, app, sub, c.args[0], c.args[2:])
	case "unset_mode":
		return s.unsetMode(sub, c.args[0], c.args[2:])
	}
	return s.say(sub, c.args[1], c.args[2])
}

func (s *subscriber) subscription(name string) *subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[name]
}

// subscribe lets the client into a stream: everybody who knows the key, if the stream
// is open, and otherwise whom the backend lets listen to the channel.
func (s *subscriber) subscribe(server *endpoint.Server, app *application, name string) string {
	channel, ok := app.channel(name)
	if !ok || server.Names.Canonical(channel) != channel {
		return answerStream
	}
	if app.isOpen(name) {
		if err := s.ticket.Grant(channel); err != nil {
			return answerTooMany
		}
	} else {
		s.mu.Lock()
		user := s.user
		s.mu.Unlock()
		user, re := server.Join(s.ctx, s.client, user, s.door, s.ticket, []string{channel})
		if re != nil {
			return answerTo(re)
		}
		s.mu.Lock()
		s.user = user
		s.mu.Unlock()
	}
	sub := &subscription{name: name, channel: channel}
	if !s.join(server, channel, func() { s.streams[name] = sub }) {
		s.ticket.Return(channel)
		s.door.Leave(channel)
		return answerLater
	}
	return answerOK
}

// answerTo is what a client is told of a refusal.
func answerTo(re *endpoint.Refusal) string {
	switch {
	case strings.HasPrefix(re.Reason, "limit-"):
		return answerTooMany
	case re.Passing:
		return answerLater
	}
	return answerDenied
}

// join has the line listen to a channel from now on, and notes it.
func (s *subscriber) join(server *endpoint.Server, channel string, note func()) bool {
	start, err := server.Hub.Resolve([]string{channel}, stream.From{})
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.line.Join(channel, start)
	note()
	return true
}

// drop ends a subscription with its modes.
func (s *subscriber) drop(sub *subscription) {
	for _, user := range slices.Clone(sub.direct) {
		s.unsetDirect(sub, user)
	}
	s.unsetPresence(sub, true)
	s.unsetAuth(sub)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, sub.name)
	s.line.Leave(sub.channel)
	s.door.Leave(sub.channel)
}

// setMode turns on a mode of a stream for which the client has a token.
func (s *subscriber) setMode(server *endpoint.Server, app *application, sub *subscription, mode string, args []string) string {
	property, token := sub.name, args[0]
	var user string
	switch mode {
	case modeAuth:
	case modePresence, modeDirect:
		if len(args) < 2 {
			return answerJSON
		}
		if user, token = args[0], args[1]; !app.takesUser(user) {
			return answerUser
		}
		property += ":" + user
	default:
		return answerMode
	}
	if !app.holds(token, mode, property, s.id) {
		return answerToken
	}
	switch mode {
	case modePresence:
		return s.setPresence(server, sub, user)
	case modeDirect:
		return s.setDirect(server, sub, user)
	}
	return s.setAuth(server, sub)
}

func (s *subscriber) unsetMode(sub *subscription, mode string, args []string) string {
	switch mode {
	case modeAuth:
		s.unsetAuth(sub)
	case modePresence:
		s.unsetPresence(sub, true)
	case modeDirect:
		if len(args) == 0 {
			return answerJSON
		}
		s.unsetDirect(sub, args[0])
	default:
		return answerMode
	}
	return answerOK
}

func (s *subscriber) authChannel(sub *subscription) string {
	return event.ModeChannel(s.key.id, modeAuth, sub.name)
}

func (s *subscriber) setAuth(server *endpoint.Server, sub *subscription) string {
	channel := s.authChannel(sub)
	if sub.auth {
		return answerOK
	}
	if err := event.CheckModeChannel(channel); err != nil {
		return answerStream
	}
	if err := s.ticket.Grant(channel); err != nil {
		return answerTooMany
	}
	if !s.join(server, channel, func() { sub.auth = true }) {
		s.ticket.Return(channel)
		return answerLater
	}
	return answerOK
}

func (s *subscriber) unsetAuth(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.auth {
		sub.auth = false
		s.line.Leave(s.authChannel(sub))
	}
}

// rightEnded is told by the gate that the backend no longer lets the client listen to
// a channel. The protocol has one word for what went wrong by itself.
func (s *subscriber) rightEnded(channel string, _ access.Cause, _ int) {
	go func() { // the gate must not wait for a command
		s.turn.Lock()
		defer s.turn.Unlock()
		s.mu.Lock()
		var gone *subscription
		for _, sub := range s.streams {
			if sub.channel == channel {
				gone = sub
			}
		}
		l := s.line
		if s.closed {
			gone = nil
		}
		s.mu.Unlock()
		if gone != nil {
			s.drop(gone)
			l.Send(format.AppendTamburAck(nil, noHandle, answerEnded))
		}
	}()
}

// close ends what the subscriber has, when its line has ended. Idempotent.
func (s *subscriber) close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	subs := s.streams
	s.streams = map[string]*subscription{}
	s.mu.Unlock()
	s.cancel()
	s.door.Close()
	s.ticket.Release()
	go func() { // a shard does not wait for a command
		s.turn.Lock()
		defer s.turn.Unlock()
		for _, sub := range subs {
			for _, user := range slices.Clone(sub.direct) {
				s.unsetDirect(sub, user)
			}
			s.unsetPresence(sub, false)
		}
	}()
}

var _ line = (*stream.Stream)(nil)
