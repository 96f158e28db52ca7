package tambur

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
)

const (
	// pollTime is how long a poll is held while nothing is said: less than proxies
	// and browsers wait.
	pollTime = 25 * time.Second
	// goneTime is how long a client may not poll before it is gone.
	goneTime = 30 * time.Second
	// pollEvents is how many messages one poll brings at most.
	pollEvents = 128
	// maxWords bounds what waits for a client beside its channels, in bytes.
	maxWords = 256 << 10
	// writeTime is how long a client may take to read an answer.
	writeTime = 30 * time.Second
)

// poller is the line of a client that polls. Its channels wait in the log.
type poller struct {
	sub    *subscriber
	reader *stream.Reader
	format format.Tambur

	mu     sync.Mutex
	words  [][]byte
	size   int
	cancel context.CancelFunc // of the poll that is held
	number uint64             // of the last poll
	expiry *time.Timer
	ended  bool
}

// comet serves a client without a WebSocket, by scripts: the first one brings its id,
// then one after the other is held until there is something, and commands go beside
// them (tambur.js, class CometSocket).
func (e *tambur) comet(w http.ResponseWriter, r *http.Request, s *endpoint.Server, h *hub, to route, c call, q url.Values) func(context.Context) {
	p := h.poller(to.last)
	data, speaks := q["data"]
	switch {
	case p == nil && isUUID(to.last):
		refuse(w, http.StatusNotFound, "the connection has ended")
	case p == nil:
		e.beginComet(w, r, s, h, to.app, c)
	case speaks:
		p.hear(w, c, data[0])
	default:
		return func(ctx context.Context) { p.poll(ctx, s.Ending, w, c) }
	}
	return nil
}

func (h *hub) poller(id string) *poller {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.polling[id]
}

// isUUID tells an id from whatever else stands in an address.
func isUUID(text string) bool {
	return len(text) == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-'
}

func (e *tambur) beginComet(w http.ResponseWriter, r *http.Request, s *endpoint.Server, h *hub, app *application, c call) {
	sub, start, ok := e.begin(w, r, s, h, app)
	if !ok {
		return
	}
	f, _ := e.spec.Format.(format.Tambur)
	p := &poller{sub: sub, reader: s.Hub.NewReader(sub.ticket), format: f}
	p.reader.Join(sub.private(), start)
	sub.attach(p)
	p.mu.Lock()
	p.await()
	p.mu.Unlock()
	h.mu.Lock()
	h.polling[sub.id] = p
	h.mu.Unlock()
	writeScript(w, c.text(nil, "id:"+sub.id))
}

// hear does a command, or ends the connection.
func (p *poller) hear(w http.ResponseWriter, c call, data string) {
	if data == "fin" {
		p.End(stream.ClientLeft)
		writeScript(w, nil)
		return
	}
	command, answer := parse([]byte(data))
	if answer == "" {
		answer = p.sub.do(command)
	}
	writeScript(w, c.append(nil, format.AppendTamburAck(nil, command.handle, answer)))
}

// poll waits until there is something for the client, and gives it. A second poll
// takes the place of the first, which is answered with nothing; so is one that is held
// when the server ends, in a reload.
func (p *poller) poll(ctx, ending context.Context, w http.ResponseWriter, c call) {
	control := http.NewResponseController(w)
	control.SetWriteDeadline(time.Time{}) // of the server: it is we who take the time
	hold, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	if ending != nil {
		defer context.AfterFunc(ending, cancel)()
	}
	number, words := p.begin(cancel)
	defer p.finish(number)
	script, taken, ok := p.take(ctx, hold, number, words, c)
	if ctx.Err() != nil {
		return // nobody is there
	}
	control.SetWriteDeadline(time.Now().Add(writeTime))
	writeScript(w, script)
	control.SetWriteDeadline(time.Time{}) // the server sets its own for the next request
	if ok {
		p.reader.Done(taken)
	}
}

// take waits for what comes next while the poll is held, and makes calls of it and of
// the words that waited already.
func (p *poller) take(client, hold context.Context, number uint64, words [][]byte, c call) (script []byte, taken stream.Taken, ok bool) {
	taken, err := p.reader.Take(hold, pollEvents)
	p.mu.Lock()
	defer p.mu.Unlock()
	if number != p.number || client.Err() != nil { // another one has taken its place, or will
		p.words = append(words, p.words...)
		return nil, taken, false
	}
	if err != nil {
		return nil, taken, false
	}
	for i := range taken.Entries {
		if message := p.format.Event(nil, &taken.Entries[i], event.Cursor{}); len(message) > 0 {
			script = c.append(script, message)
		}
	}
	for _, word := range append(words, p.words...) {
		script = c.append(script, word)
	}
	p.words, p.size = nil, 0
	return script, taken, true
}

// begin makes a poll the one that is held, and gives what waits for it.
func (p *poller) begin(cancel context.CancelFunc) (number uint64, words [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cancel != nil {
		p.cancel()
	}
	if p.expiry != nil {
		p.expiry.Stop()
	}
	p.number++
	p.cancel = cancel
	words, p.words = p.words, nil
	if p.ended || len(words) > 0 {
		cancel() // there is no reason to wait
	}
	return p.number, slices.Clip(words)
}

// finish waits for the next poll, unless there is one.
func (p *poller) finish(number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if number == p.number {
		p.cancel = nil
		p.await()
	}
}

// await has the connection end if the client does not poll. Called with mu held.
func (p *poller) await() {
	if p.expiry != nil {
		p.expiry.Stop()
	}
	if p.ended {
		return
	}
	p.expiry = time.AfterFunc(goneTime, func() {
		p.mu.Lock()
		held := p.cancel != nil
		p.mu.Unlock()
		if !held {
			p.End(stream.ClientGone)
		}
	})
}

// Send implements line.
func (p *poller) Send(message []byte) {
	p.mu.Lock()
	if p.size += len(message); p.size > maxWords {
		p.mu.Unlock()
		p.End(stream.SlowClient)
		return
	}
	p.words = append(p.words, message)
	if p.cancel != nil {
		p.cancel()
	}
	p.mu.Unlock()
}

// Join implements line.
func (p *poller) Join(channel string, start stream.Start) { p.reader.Join(channel, start) }

// Leave implements line.
func (p *poller) Leave(channel string) { p.reader.Leave(channel) }

// End implements line.
func (p *poller) End(stream.CloseReason) {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return
	}
	p.ended = true
	if p.expiry != nil {
		p.expiry.Stop()
	}
	if p.cancel != nil {
		p.cancel()
	}
	p.mu.Unlock()
	h := p.sub.hub
	h.mu.Lock()
	delete(h.polling, p.sub.id)
	h.mu.Unlock()
	p.reader.Close()
	p.sub.close()
}

var _ line = (*poller)(nil)
