package tambur

import (
	"slices"
	"strconv"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// Direct messages go to the clients that are there under a user's name, on whichever
// node, and are kept nowhere.

// directTopic is where nodes tell each other direct messages.
const directTopic = "tambur direct"

// addressOf names the clients of a user in one of an app's streams.
func addressOf(key appKey, stream, user string) string {
	return strconv.Itoa(len(key.id)) + ":" + key.id + strconv.Itoa(len(stream)) + ":" + stream + user
}

// setDirect lets the client be spoken to, and speak, as a user.
func (s *subscriber) setDirect(server *endpoint.Server, sub *subscription, user string) string {
	if i := slices.Index(sub.direct, user); i >= 0 {
		sub.direct = append(slices.Delete(sub.direct, i, i+1), user)
		return answerOK
	}
	if len(sub.direct) >= maxDirect {
		return answerTooMany
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return answerLater
	}
	sub.direct = append(sub.direct, user)
	s.hub.addDirect(server, addressOf(s.key, sub.name, user), s)
	return answerOK
}

func (s *subscriber) unsetDirect(sub *subscription, user string) {
	if i := slices.Index(sub.direct, user); i >= 0 {
		sub.direct = slices.Delete(sub.direct, i, i+1)
		s.hub.removeDirect(addressOf(s.key, sub.name, user), s)
	}
}

// say sends a direct message. That always works: whether somebody is there is not
// said (README of tambur.js).
func (s *subscriber) say(sub *subscription, to, text string) string {
	if len(sub.direct) == 0 {
		return answerNoDirect
	}
	server, _ := s.hub.current(s.key)
	from := sub.direct[len(sub.direct)-1]
	var a fastjson.Arena
	word := a.NewArray()
	for i, part := range []string{addressOf(s.key, sub.name, to), sub.name, from, text} {
		word.SetArrayItem(i, a.NewString(part))
	}
	server.Bus.Publish(directTopic, word.MarshalTo(nil))
	return answerOK
}

func (h *hub) addDirect(server *endpoint.Server, address string, s *subscriber) {
	h.mu.Lock()
	h.direct[address] = append(slices.Clone(h.direct[address]), s)
	listen := !h.listening
	h.listening = true
	h.mu.Unlock()
	if listen {
		server.Bus.Listen(directTopic, h.deliver) // for as long as there is the bus
	}
}

func (h *hub) removeDirect(address string, s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(h.direct[address]), func(other *subscriber) bool { return other == s })
	if h.direct[address] = rest; len(rest) == 0 {
		delete(h.direct, address)
	}
}

// deliver gives a direct message to the clients that are on this node.
func (h *hub) deliver(word []byte) {
	v, err := fastjson.ParseBytes(word)
	if err != nil {
		return
	}
	part := func(i string) string { return string(v.GetStringBytes(i)) }
	h.mu.Lock()
	to := h.direct[part("0")] // replaced, never changed
	h.mu.Unlock()
	if len(to) == 0 {
		return
	}
	message := format.AppendTamburPair(nil, part("1"), modeDirect, part("2"), part("3"))
	for _, s := range to {
		s.send(message)
	}
}

// send gives the client a message beside its channels.
func (s *subscriber) send(message []byte) {
	s.mu.Lock()
	l := s.line
	if s.closed {
		l = nil
	}
	s.mu.Unlock()
	if l != nil {
		l.Send(message)
	}
}
