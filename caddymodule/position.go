package caddymodule

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Position names a page of the app's own API, such as the list of a room's recent
// messages. The app's answers to it say in a header where a stream goes on, so that
// a client that reads the page and then opens a stream misses nothing in between.
type Position struct {
	// The method of the request. Only `GET` is possible, and it is the default.
	Method string `json:"method,omitempty"`
	// The path, whose segments may be parameters: `/room/{channel}/recent.json`.
	// What `{channel}`, or `{org}` and `{flow}`, stand for is the channel that the
	// client is going to listen to; without them, ways in that only listen on
	// demand hear of it later.
	Path string `json:"path"`

	route pathRoute
}

// positionHeader is the header that holds the cursor.
const positionHeader = "Stream-Position"

func (s *Sidestream) provisionPositions() error {
	taken := map[string]bool{}
	for _, p := range s.Positions {
		if err := p.provision(); err != nil {
			return err
		}
		if taken[p.Path] {
			return fmt.Errorf("position GET %s is given twice", p.Path)
		}
		taken[p.Path] = true
	}
	return nil
}

func (p *Position) provision() (err error) {
	if p.Method == "" {
		p.Method = http.MethodGet
	}
	if p.Method != http.MethodGet {
		return fmt.Errorf("position %s %s: only what GET answers has a position", p.Method, p.Path)
	}
	p.route, err = parseRoute("position", p.Path)
	return err
}

// channelOf is the channel that a route's parameters name; empty if they name none.
func channelOf(vars map[string]string) string {
	name := vars["channel"]
	if org, flow := vars["org"], vars["flow"]; name == "" && org != "" && flow != "" {
		name = org + "/" + flow
	}
	return name
}

// positioned is the writer for a request that goes on to the app: one that adds the
// position to the answer, if the request is for a page that has one. The position is
// that of now, before the app is asked: whatever is said from now on is behind it.
func (s *Sidestream) positioned(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	vars, ok := s.positionOf(r)
	if !ok {
		return w
	}
	head := s.hub.Head()
	if head.Epoch == (event.Epoch{}) {
		return w // a shared history that was not reached yet has no position
	}
	asked := time.Now()
	return &positionWriter{ResponseWriter: w, position: head.String(), given: func() {
		if name := channelOf(vars); event.ValidChannel(name) {
			name = s.names.Canonical(name)
			s.pooled.expectSince(name, asked, head)
			s.hub.Anticipate(name)
		}
	}}
}

// positionOf finds the parameters of the page that a request is for, if it is one
// that has a position.
func (s *Sidestream) positionOf(r *http.Request) (vars map[string]string, ok bool) {
	if r.Method != http.MethodGet || len(r.Header["Upgrade"]) > 0 {
		return nil, false
	}
	for _, p := range s.Positions {
		if vars, ok := p.route.match(r.URL.EscapedPath()); ok {
			return vars, true
		}
	}
	return nil, false
}

// positionWriter adds the position to an answer that has something to read. Others,
// such as a refusal, say nothing of what goes on in the hub.
type positionWriter struct {
	http.ResponseWriter
	position string
	given    func()
	began    bool
}

func (w *positionWriter) begin(status int) {
	if w.began || status < 200 {
		return
	}
	w.began = true
	if status > 299 && status != http.StatusNotModified {
		return
	}
	h := w.Header()
	h.Set(positionHeader, w.position)
	if h.Get("Access-Control-Allow-Origin") != "" && !exposes(h) {
		h.Add("Access-Control-Expose-Headers", positionHeader)
	}
	w.given()
}

// exposes tells whether the app shows the position to pages of other origins itself.
func exposes(h http.Header) bool {
	return slices.ContainsFunc(h.Values("Access-Control-Expose-Headers"), func(list string) bool {
		return strings.Contains(strings.ToLower(list), strings.ToLower(positionHeader))
	})
}

func (w *positionWriter) WriteHeader(status int) {
	w.begin(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *positionWriter) Write(b []byte) (int, error) {
	w.begin(http.StatusOK)
	return w.ResponseWriter.Write(b)
}

// FlushError begins the answer, if nothing has, and sends what there is of it.
func (w *positionWriter) FlushError() error {
	w.begin(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController find the writer below.
func (w *positionWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// position reads a page of the app that has a position. Syntax:
//
//	position GET <path>
func (p *parser) position() error {
	args := p.RemainingArgs()
	if len(args) != 2 || args[0] != http.MethodGet {
		return p.Errf("position needs GET and a path, as in: position GET /room/{channel}/recent.json")
	}
	position := &Position{Method: args[0], Path: args[1]}
	if err := position.provision(); err != nil {
		return p.WrapErr(err)
	}
	if err := (&Sidestream{Positions: append(p.s.Positions, position)}).provisionPositions(); err != nil {
		return p.WrapErr(err)
	}
	p.s.Positions = append(p.s.Positions, position)
	return nil
}
