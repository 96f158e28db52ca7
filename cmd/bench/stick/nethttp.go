package stick

import (
	"io"
	"net"
	"net/http"
	"sync"
)

// backlog is how many messages a stream of ServeHTTP may be behind before it is
// ended.
const backlog = 256

// ServeHTTP is the fan-out that one writes first in Go: net/http, and for each
// stream its goroutine, a channel, and a Write and a Flush for each message.
func ServeHTTP(l net.Listener) error {
	h := &hub{rooms: map[string]map[chan []byte]struct{}{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /room/{room}/live.json", h.stream)
	mux.HandleFunc("POST /room/{room}", h.publish)
	return http.Serve(l, mux)
}

type hub struct {
	mu    sync.Mutex
	rooms map[string]map[chan []byte]struct{}
}

func (h *hub) join(room string) chan []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rooms[room] == nil {
		h.rooms[room] = map[chan []byte]struct{}{}
	}
	messages := make(chan []byte, backlog)
	h.rooms[room][messages] = struct{}{}
	return messages
}

func (h *hub) leave(room string, messages chan []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.rooms[room], messages)
}

func (h *hub) stream(w http.ResponseWriter, r *http.Request) {
	room := r.PathValue("room")
	messages := h.join(room)
	defer h.leave(room, messages)
	w.Header().Set("Content-Type", "application/json")
	out := http.NewResponseController(w)
	out.Flush()
	for {
		select {
		case m, ok := <-messages:
			if !ok {
				return
			}
			w.Write(m)
			if out.Flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

func (h *hub) publish(w http.ResponseWriter, r *http.Request) {
	m, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	m = append(m, '\n')
	room := r.PathValue("room")
	h.mu.Lock()
	for messages := range h.rooms[room] {
		select {
		case messages <- m:
		default:
			delete(h.rooms[room], messages)
			close(messages)
		}
	}
	h.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}
