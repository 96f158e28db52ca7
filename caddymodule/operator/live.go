package operator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// The kinds of a Happening.
const (
	Arrived  = "arrived"  // something came in, by one of the ways in
	Opened   = "opened"   // a client asked for a stream, and got it
	Refused  = "refused"  // it did not
	Question = "question" // the backend was asked
)

// Happening is something that happens in a hub, for whoever watches. It holds no
// secret; it does hold what people say.
type Happening struct {
	At   time.Time `json:"at"`
	Hub  string    `json:"hub"`
	Kind string    `json:"kind"`

	// Of what arrived: the way in, what it answers, and what became of it.
	From     string    `json:"from,omitempty"`
	Messages []Message `json:"messages,omitempty"`
	Dropped  int       `json:"dropped,omitempty"`
	Unmapped int       `json:"unmapped,omitempty"`

	// Of a request for a stream.
	Endpoint   string   `json:"endpoint,omitempty"`
	Format     string   `json:"format,omitempty"`
	Channels   []string `json:"channels,omitempty"`
	Credential string   `json:"credential,omitempty"`
	User       string   `json:"user,omitempty"`
	Address    string   `json:"address,omitempty"`

	// Of a question to the backend.
	Channel string   `json:"channel,omitempty"`
	Asked   string   `json:"asked,omitempty"`
	Outcome string   `json:"outcome,omitempty"`
	Why     []string `json:"why,omitempty"`

	// Status is that of the answer; Reason is why it is no good one.
	Status  int     `json:"status,omitempty"`
	Reason  string  `json:"reason,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
}

// Message is what a delivery was mapped to.
type Message struct {
	Channel   string `json:"channel"`
	Op        string `json:"op"`
	ID        string `json:"id,omitempty"`
	User      string `json:"user,omitempty"`
	Text      string `json:"text,omitempty"` // its beginning
	Position  string `json:"position,omitempty"`
	Duplicate bool   `json:"duplicate,omitempty"`
	Conflict  bool   `json:"conflict,omitempty"`
}

// maxText bounds what is shown of a text, in bytes, and maxMessages how many messages
// of one delivery are.
const (
	maxText     = 200
	maxMessages = 20
)

// Messages are events as a Happening shows them; receipts may be missing.
func Messages(events []event.Event, receipts []event.Receipt) (list []Message) {
	for i := range events[:min(len(events), maxMessages)] {
		e := &events[i]
		m := Message{Channel: e.Channel.Text, Op: e.Op.String(), ID: e.ID.Text, User: e.User.Text, Text: strings.ToValidUTF8(e.Body[:min(len(e.Body), maxText)], "")}
		if i < len(receipts) {
			m.Position, m.Duplicate, m.Conflict = receipts[i].Position.String(), receipts[i].Duplicate, receipts[i].Conflict
		}
		list = append(list, m)
	}
	return list
}

// Live passes on what happens in a hub to those who watch. Nobody waits for them: one
// that does not keep up misses something, and is told how much. While nobody watches,
// it costs a load. The zero value is ready; safe for concurrent use.
type Live struct {
	watched  atomic.Int32
	mu       sync.Mutex
	watchers map[*watcher]struct{}
}

type watcher struct {
	kinds  []string // nil: all
	news   chan Happening
	missed atomic.Uint64
}

// waitingNews is how much a watcher may be behind.
const waitingNews = 256

// Watched tells whether it is worth while to say something.
func (l *Live) Watched() bool { return l != nil && l.watched.Load() > 0 }

// Tell tells those who watch. It does not wait.
func (l *Live) Tell(h Happening) {
	if !l.Watched() {
		return
	}
	h.At = time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.watchers {
		if w.kinds != nil && !slices.Contains(w.kinds, h.Kind) {
			continue
		}
		select {
		case w.news <- h:
		default:
			w.missed.Add(1)
		}
	}
}

func (l *Live) watch(w *watcher) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watchers == nil {
		l.watchers = map[*watcher]struct{}{}
	}
	l.watchers[w] = struct{}{}
	l.watched.Add(1)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.watchers, w)
		l.watched.Add(-1)
	}
}

// liveBeat is how often a silent stream of happenings is written to.
const liveBeat = 15 * time.Second

// events answers with server-sent events, each a Happening.
func (a *API) events(w http.ResponseWriter, r *http.Request) error {
	if err := only(r, "hub", "kind"); err != nil {
		return err
	}
	var kinds []string
	if text := r.URL.Query().Get("kind"); text != "" {
		kinds = strings.Split(text, ",")
	}
	all := []string{Arrived, Opened, Refused, Question}
	for _, kind := range kinds {
		if !slices.Contains(all, kind) {
			return wrong(http.StatusBadRequest, "kind is one or several of %s, with commas between them", strings.Join(all, ", "))
		}
	}
	return a.follow(w, r, kinds, func(*Happening) bool { return true })
}

// trace answers with server-sent events: the requests for streams that the parameters
// choose, and what the backend was asked about them.
func (a *API) trace(w http.ResponseWriter, r *http.Request) error {
	if err := only(r, "hub", "channel", "user", "address"); err != nil {
		return err
	}
	q := r.URL.Query()
	network := netip.Prefix{}
	if q.Get("address") != "" {
		f, _, err := chooseStreams(r)
		if err != nil {
			return err
		}
		network = f.Address
	}
	channel, user := q.Get("channel"), q.Get("user")
	return a.follow(w, r, []string{Opened, Refused, Question}, func(h *Happening) bool {
		if h.Kind == Question { // it has no address: whoever comes next shares the answer
			return channel == "" || h.Channel == channel || h.Channel == ""
		}
		if address, err := netip.ParseAddr(h.Address); network.IsValid() && (err != nil || !network.Contains(address.Unmap())) {
			return false
		}
		return (channel == "" || slices.Contains(h.Channels, channel)) && (user == "" || h.User == user)
	})
}

func (a *API) follow(w http.ResponseWriter, r *http.Request, kinds []string, wanted func(*Happening) bool) error {
	hubs, err := a.chosen(r)
	if err != nil {
		return err
	}
	watcher := &watcher{kinds: kinds, news: make(chan Happening, waitingNews)}
	for i := range hubs {
		defer hubs[i].Live.watch(watcher)()
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	beat := time.NewTicker(liveBeat)
	defer beat.Stop()
	text := []byte(": what happens from now on\n\n")
	for {
		if _, err := w.Write(text); err != nil {
			return nil
		}
		if out.Flush() != nil {
			return nil
		}
		text = text[:0]
		select {
		case <-r.Context().Done():
			return nil
		case <-beat.C:
			text = append(text, ":\n\n"...)
		case h := <-watcher.news:
			if n := watcher.missed.Swap(0); n > 0 {
				text = fmt.Appendf(text, "event: missed\ndata: {\"missed\":%d}\n\n", n)
			}
			if wanted(&h) {
				line, err := json.Marshal(h)
				if err != nil {
					return fmt.Errorf("writing what happens: %w", err)
				}
				text = fmt.Appendf(text, "event: %s\ndata: %s\n\n", h.Kind, line)
			}
		}
	}
}
