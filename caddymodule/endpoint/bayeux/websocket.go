package bayeux

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/format"
)

const (
	// messagesPerSecond is what a client may say over a WebSocket in the long run.
	messagesPerSecond = 50
	// waiting bounds the frames of a client that wait for those before them.
	waiting = 64
	// answerTime bounds how long the frames of one time may take.
	answerTime = 30 * time.Second
)

// socket is a WebSocket. What comes is answered in order, by a goroutine that is
// there only meanwhile.
type socket struct {
	push
	site   *site
	page   string
	client *forwardauth.Client

	mu      sync.Mutex
	frames  []string
	working bool

	session atomic.Pointer[Session] // that is bound
}

var words = &stream.Messages{Limit: maxBody, PerSecond: messagesPerSecond}

// webSocket serves the transport websocket: each frame is a batch of messages, or of
// replies (Bayeux, 6.4 of CometD's documentation).
func (x *exchange) webSocket(line *endpoint.Server) func(context.Context) {
	if !x.identify(x.r) {
		return nil
	}
	k := &socket{site: x.registry.site(x.bayeux, line), page: x.page, client: x.client}
	k.push.wrap = func(b []byte) []byte { return b }
	k.push.answers = true
	ticket, err := line.Hub.Admit(stream.Candidate{Address: x.client.Address, Asking: true})
	if err != nil {
		refuse(x.w, http.StatusServiceUnavailable, "too many clients")
		return nil
	}
	wait, re := line.Upgrade(x.w, x.r, stream.Opening{
		Spec: x.registry.spec(format.BayeuxSocket{}, line.HeartbeatOf(x.bayeux)), Standing: true, Ticket: ticket,
		Client: &stream.Client{Address: x.client.Address},
		Input:  words.Input(k.hear), OnClose: k.closed,
	}, func(s *stream.Stream) { k.stream.Store(s) })
	if re != nil {
		refuse(x.w, re.Status, re.Message)
	}
	return wait
}

// hear takes a frame. It is called by a shard.
func (k *socket) hear(s *stream.Stream, text []byte) {
	k.stream.Store(s)
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.frames) >= waiting {
		s.End(stream.Flooding)
		return
	}
	k.frames = append(k.frames, string(text))
	if !k.working {
		k.working = true
		go k.work()
	}
}

// work answers frames until there are none.
func (k *socket) work() {
	for {
		k.mu.Lock()
		if len(k.frames) == 0 {
			k.working, k.frames = false, nil
			k.mu.Unlock()
			return
		}
		frame := k.frames[0]
		k.frames = k.frames[1:]
		k.mu.Unlock()
		k.answer(frame)
	}
}

// answer answers one frame.
func (k *socket) answer(frame string) {
	s := k.stream.Load()
	if s == nil {
		return
	}
	messages, err := parseBatch(frame)
	if err != nil {
		s.End(stream.BadInput)
		return
	}
	live := k.site.live.Load()
	x := &exchange{bayeux: live.bayeux, server: live.server, registry: k.site.registry, page: k.page, client: k.client, socket: k}
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	x.serve(ctx, messages)
	if len(x.replies.json) > 0 || len(messages) == 0 {
		k.send(&x.replies) // an empty array answers the heartbeat of old Faye clients
	}
	if x.pending != nil && !k.connect(x.pending) {
		var r replies
		r.add(reply{channel: "/meta/connect", id: x.pending.id, err: errUnknownClient(x.pending.s.id), advice: anew()})
		k.send(&r)
	}
}

// connect has a connect wait here: its session is bound to this WebSocket.
func (k *socket) connect(c *connect) bool {
	if old := k.session.Swap(c.s); old != nil && old != c.s {
		old.leavePush(&k.push)
	}
	return c.s.connectOver(&k.push, c)
}

// closed is called by a shard when the WebSocket has ended.
func (k *socket) closed(stream.Closed) {
	if s := k.session.Load(); s != nil {
		s.released(&k.push)
	}
	k.stream.Store(nil)
}
