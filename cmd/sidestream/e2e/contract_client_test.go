package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/seed-078801ba/sidestream/cmd/sidestream/e2e/contract"
)

// Clients that write down what they see. They come back with their cursor when
// their stream ends, whatever the reason, as long as the test lasts.

// dialect is how a kind of client asks, and reads what it is sent.
type dialect struct {
	name string
	// target is where it connects, for channels and the id of the last message
	// that it has seen.
	target func(channels []string, lastID string) string
	header map[string]string
	// read takes one message with its delimiter off the stream, and says what
	// it is; nil if it is nothing to write down. errTorn is the error of a
	// message that is complete by its delimiter only.
	read func(r *bufio.Reader) (*contract.Seen, error)
	// cursors: its messages carry them.
	cursors bool
}

var dialects = []dialect{
	{name: "campfire-json", target: campfireTarget(".json"), read: readCR(parseCampfireJSON)},
	{name: "flowdock-json", target: flowdockTarget, read: readCR(parseFlowdockJSON)},
	{name: "sse", target: sseTarget, read: readSSE, header: map[string]string{"Accept": "text/event-stream"}, cursors: true},
	{name: "campfire-xml", target: campfireTarget(".xml"), read: readCR(parseCampfireXML)},
}

func campfireTarget(form string) func([]string, string) string {
	return func(channels []string, lastID string) string {
		return "/room/" + channels[0] + "/live" + form + since("?", lastID)
	}
}

func flowdockTarget(channels []string, lastID string) string {
	return "/flows?filter=" + strings.Join(channels, ",") + since("&", lastID)
}

func sseTarget(channels []string, _ string) string { return flowdockTarget(channels, "") }

func since(glue, lastID string) string {
	if lastID == "" {
		return ""
	}
	return glue + "since_message_id=" + url.QueryEscape(lastID)
}

// tornError is a message that its delimiter ends too early.
type tornError string

func (e tornError) Error() string { return "torn: " + string(e) }

// readCR reads messages that end in a carriage return; spaces and line feeds
// between them are heartbeats.
func readCR(parse func([]byte) (*contract.Seen, error)) func(*bufio.Reader) (*contract.Seen, error) {
	return func(r *bufio.Reader) (*contract.Seen, error) {
		b, err := r.ReadBytes('\r')
		if err != nil {
			return nil, err
		}
		m, err := parse(bytes.TrimSpace(b))
		if err != nil {
			return nil, tornError(b)
		}
		return m, nil
	}
}

// message is what the JSON formats say, those of both services and the gap
// signal.
type message struct {
	Type string `json:"type"`
	ID   string `json:"id"`

	RoomID string `json:"room_id"` // Campfire
	Body   string `json:"body"`

	Flow    string `json:"flow"` // Flowdock
	Content string `json:"content"`

	Channel *string `json:"channel"` // a gap
	To      string  `json:"to"`
	Reason  string  `json:"reason"`
}

func (m *message) gap() *contract.Seen {
	g := &contract.Seen{Kind: contract.Gap, To: m.To, Reason: m.Reason}
	if m.Channel != nil {
		g.Channel = *m.Channel
	}
	return g
}

func parseCampfireJSON(b []byte) (*contract.Seen, error) {
	var m message
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	if m.Type == "StreamGap" {
		return m.gap(), nil
	}
	return &contract.Seen{Event: contract.Event{Channel: m.RoomID, ID: m.ID}, Body: m.Body}, nil
}

func parseFlowdockJSON(b []byte) (*contract.Seen, error) {
	var m message
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	if m.Type == "StreamGap" {
		return m.gap(), nil
	}
	return &contract.Seen{Event: contract.Event{Channel: m.Flow, ID: m.ID}, Body: m.Content}, nil
}

func parseCampfireXML(b []byte) (*contract.Seen, error) {
	var m struct {
		Type    string `xml:"type"`
		ID      string `xml:"id"`
		RoomID  string `xml:"room-id"`
		Body    string `xml:"body"`
		Channel string `xml:"channel"`
		To      string `xml:"to"`
		Reason  string `xml:"reason"`
	}
	if err := xml.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	if m.Type == "StreamGap" {
		return &contract.Seen{Kind: contract.Gap, Event: contract.Event{Channel: m.Channel}, To: m.To, Reason: m.Reason}, nil
	}
	return &contract.Seen{Event: contract.Event{Channel: m.RoomID, ID: m.ID}, Body: m.Body}, nil
}

// readSSE reads one frame, up to its empty line. What has no line end or no
// empty line is not there, as the standard has it.
func readSSE(r *bufio.Reader) (*contract.Seen, error) {
	var id, name, data string
	var lines strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, err
		}
		lines.WriteString(line)
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			break
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			id = value
		case "event":
			name = value
		case "data":
			data = value
		}
	}
	if data == "" {
		if id == "" {
			return nil, nil
		}
		return &contract.Seen{Kind: contract.Bookmark, Cursor: id}, nil
	}
	var m message
	if err := json.Unmarshal([]byte(data), &m); err != nil {
		return nil, tornError(lines.String())
	}
	seen := m.gap()
	if name != "gap" {
		seen = &contract.Seen{Event: contract.Event{Channel: m.Flow, ID: m.ID}, Body: m.Content}
	}
	seen.Cursor = id
	return seen, nil
}

// listener is one client.
type listener struct {
	dialect
	rec      *contract.Recorder
	name     string
	address  string
	channels []string
	// more goes into the query of each request.
	more string
	// hangUp, if not zero, is about how many messages it takes before it hangs
	// up, and away about how long it stays away then.
	hangUp int
	away   time.Duration

	// Of its own goroutine: what it holds.
	cursor, lastID string

	mu    sync.Mutex
	conn  net.Conn
	ended map[string]string // the id of the last closing word of each channel
	// refused is the status of an answer that was no stream.
	refused string
	last    bool // everything has been said, long ago
}

// listen goes on until stop is closed.
func (l *listener) listen(stop <-chan struct{}) {
	for {
		away := 10 * time.Millisecond
		if l.session(stop) && l.away > 0 {
			away = rand.N(l.away)
		}
		select {
		case <-stop:
			return
		case <-time.After(away):
		}
	}
}

// session is one connection; it returns true if the client hung up by itself.
func (l *listener) session(stop <-chan struct{}) (hungUp bool) {
	conn, err := net.Dial("tcp", l.address)
	if err != nil {
		return false
	}
	defer conn.Close()
	if !l.holds(conn, stop) {
		return false
	}
	s := contract.Session{Client: l.name, Channels: l.channels}
	target := l.target(l.channels, l.lastID)
	if l.cursors {
		s.Asked = l.cursor
	} else {
		s.AskedID = l.lastID
	}
	if l.more != "" {
		glue := "?"
		if strings.Contains(target, "?") {
			glue = "&"
		}
		target += glue + l.more
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+l.address+target, nil)
	if err != nil {
		panic(err) // the test's own mistake
	}
	for name, value := range l.header {
		req.Header.Set(name, value)
	}
	if s.Asked != "" {
		req.Header.Set("Last-Event-ID", s.Asked)
	}
	if req.Write(conn) != nil {
		return false
	}
	raw := bufio.NewReader(conn)
	resp, err := http.ReadResponse(raw, req)
	if err != nil {
		return false
	}
	// Closing the body would read it to its end; the connection's end is ours.
	// An answer of known length is no stream: "retry", where another status
	// would make a browser give up.
	if resp.StatusCode != http.StatusOK || resp.ContentLength >= 0 {
		l.mu.Lock()
		l.refused = resp.Status
		l.mu.Unlock()
		return false
	}
	s.Opened, s.Resume = l.rec.Now(), resp.Header.Get("Stream-Resume")
	hungUp = l.readAll(&s, bufio.NewReader(resp.Body))
	l.mu.Lock()
	s.Last = l.last
	l.mu.Unlock()
	l.rec.Heard(s)
	return hungUp
}

// holds makes the connection the one that finish closes.
func (l *listener) holds(conn net.Conn, stop <-chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-stop:
		return false
	default:
		l.conn = conn
		return true
	}
}

func (l *listener) readAll(s *contract.Session, r *bufio.Reader) (hungUp bool) {
	left := 0 // then it does not hang up
	if l.hangUp > 0 {
		left = 1 + rand.IntN(2*l.hangUp)
	}
	for {
		m, err := l.read(r)
		if err != nil {
			var torn tornError
			if errors.As(err, &torn) {
				s.Torn = string(torn)
			}
			return false
		}
		if m == nil {
			continue
		}
		m.At = l.rec.Now()
		s.Seen = append(s.Seen, *m)
		if m.Cursor != "" {
			l.cursor = m.Cursor
		}
		if m.Kind != contract.Message {
			continue
		}
		l.lastID = m.ID
		ended := l.sawEnd(m.Event)
		if left--; left == 0 && !ended {
			return true
		}
	}
}

// endMark begins the ids of closing words, which are said when all publishers
// have finished.
const endMark = "the-end-"

func endOf(channel string, round int) contract.Event {
	return contract.Event{Channel: channel, ID: fmt.Sprint(endMark, round)}
}

// sawEnd notes closing words. When one has been heard, the client does not hang
// up any more.
func (l *listener) sawEnd(e contract.Event) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.HasPrefix(e.ID, endMark) {
		l.ended[e.Channel] = e.ID
		l.hangUp = 0
	}
	return len(l.ended) > 0
}

// hasAll tells whether the closing words of a round have come from every
// channel.
func (l *listener) hasAll(round int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, channel := range l.channels {
		if l.ended[channel] != endOf(channel, round).ID {
			return false
		}
	}
	return true
}

// finish ends the last session, after stop was closed.
func (l *listener) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = true
	if l.conn != nil {
		l.conn.Close()
	}
}

// readAudit reads everything that a hub has, from the beginning, up to the last
// closing word of every channel.
func readAudit(rec *contract.Recorder, address string, channels []string, epoch string, lastRound int) error {
	l := &listener{dialect: dialects[2], rec: rec, name: "audit", address: address, channels: channels, ended: map[string]string{}}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	s := contract.Session{Client: l.name, Channels: channels, Asked: epoch + ".0.000000", Audit: true}
	req, err := http.NewRequest(http.MethodGet, "http://"+address+l.target(channels, ""), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Last-Event-ID", s.Asked)
	if err := req.Write(conn); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return err
	}
	s.Opened, s.Resume = rec.Now(), resp.Header.Get("Stream-Resume")
	r := bufio.NewReader(resp.Body)
	for !l.hasAll(lastRound) {
		m, err := l.read(r)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			s.Audit = false // it is not everything
			rec.Heard(s)
			return err
		}
		if m == nil {
			continue
		}
		m.At = rec.Now()
		s.Seen = append(s.Seen, *m)
		l.sawEnd(m.Event)
	}
	rec.Heard(s)
	return nil
}
