package bayeux

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream"
)

// connectionTypes are the transports, by their names in Bayeux and in Faye.
var connectionTypes = []string{"long-polling", "cross-origin-long-polling", "callback-polling", "websocket", eventSource}

const eventSource = "eventsource"

// handshake begins a session.
func (x *exchange) handshake(ctx context.Context, m *message) {
	a := reply{channel: m.channel, id: m.id, more: appendTypes([]byte(`,"version":"1.0"`))}
	if a.err = checkHandshake(m); a.err == nil {
		a.err, a.advice = x.newSession(ctx, m, &a)
	}
	if a.err == nil {
		a.advice = x.again()
	} else if a.advice == nil {
		a.advice = &advice{reconnect: none, timeout: -1}
	}
	x.replies.add(a)
}

// checkHandshake looks for what Faye and the protocol want of a handshake.
func checkHandshake(m *message) *Error {
	version := text(m.Get("version"))
	offered, ok := texts(m.Get("supportedConnectionTypes"))
	switch {
	case version == "":
		return errMissing("version")
	case version != "1" && !strings.HasPrefix(version, "1."):
		return errVersion(version)
	case !ok:
		return errMissing("supportedConnectionTypes")
	case !slices.ContainsFunc(offered, func(t string) bool { return slices.Contains(connectionTypes, t) }):
		return errConnectionTypes(strings.Join(offered, ","))
	}
	return nil
}

// newSession makes a session for the client.
func (x *exchange) newSession(ctx context.Context, m *message, a *reply) (*Error, *advice) {
	s, fail := x.admitSession("")
	if fail != nil {
		return fail, anew()
	}
	s.otherID = m.id
	a.client = s.id
	ext := m.Get("ext")
	a.ext = s.offerAcks(ext, a.ext)
	a.ext = x.timesync(ext, 0, a.ext)
	if x.salesforce {
		a.ext = appendMember(a.ext, "replay", []byte("true"))
	}
	for _, extension := range x.extensions {
		a.ext = extension.Handshake(ctx, x.caller(), s, ext, a.ext)
	}
	s.save(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	// Who does not even connect has no session for long.
	s.await(min(x.expire, unconnected))
	return nil, nil
}

// admitSession makes a session, with a new id or one that it has had before.
func (x *exchange) admitSession(id string) (*Session, *Error) {
	ticket, err := x.server.Hub.Admit(stream.Candidate{Address: x.client.Address, Credential: x.client.Credential.Who(), Asking: true})
	if err != nil {
		return nil, errServer("too many clients")
	}
	s := &Session{
		id: id, page: x.page, address: x.client.Address, client: x.client, ticket: ticket, memory: x.server.RemembersRights(),
		anyPage: x.page == "" && x.socket == nil && x.r.Method == http.MethodGet,
		reader:  x.server.Hub.NewReader(nil), expire: x.expire, replays: x.salesforce,
	}
	if id != "" {
		s.restored = make(chan struct{})
	}
	s.door = stream.NewDoor(x.server.Gate.Gate, ticket, s.rightEnded)
	if !x.registry.add(s, x.sessions, x.perAddress) {
		s.door.Close()
		ticket.Release()
		return nil, errServer("too many clients")
	}
	return s, nil
}

func appendTypes(dst []byte) []byte {
	dst = append(dst, `,"supportedConnectionTypes":[`...)
	for i, t := range connectionTypes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), t...), '"')
	}
	return append(dst, ']')
}

// disconnect ends a session.
func (x *exchange) disconnect(ctx context.Context, m *message) {
	s := x.session(ctx, m)
	if s == nil {
		return
	}
	s.Close()
	x.replies.add(reply{channel: m.channel, id: m.id, client: s.id})
}

// appendMember appends a member of an object, with a comma if it is not the first.
func appendMember(dst []byte, name string, value []byte) []byte {
	if len(dst) > 0 {
		dst = append(dst, ',')
	}
	return append(append(append(append(dst, '"'), name...), `":`...), value...)
}

// extOf is a member of a message's ext; nil if there is none.
func extOf(m *message, name string) *fastjson.Value { return m.Get("ext", name) }
