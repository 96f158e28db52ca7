package bayeux

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// A record is what is kept of a session with the log, so that it outlives the process
// and is taken up by any node. It is written when something has changed: before an
// answer with events goes out, so that who takes the session up knows what its client
// may have. A connect that brings nothing writes nothing.
//
// Its id is a digest of the client's, and it holds a digest of what the client proves
// itself with, under the client's id: who reads the store can take no session over.
// The rights are not in it: the backend is asked again.
type record struct {
	Version int    `json:"v"`
	Node    string `json:"node"` // that has the session now
	Page    string `json:"page,omitempty"`
	AnyPage bool   `json:"any_page,omitempty"`
	Digest  string `json:"digest,omitempty"` // of the credential; empty if there was none
	User    string `json:"user,omitempty"`
	Acks    bool   `json:"acks,omitempty"`
	Batch   uint64 `json:"batch,omitempty"`
	// Last is the id of the last connect, and Other that of the last message that was
	// none, as JSON.
	Last  string `json:"last,omitempty"`
	Other string `json:"other,omitempty"`
	// Head is a position that the client has seen, to see that the log is the same.
	Head  string      `json:"head"`
	Subs  []recordSub `json:"subs,omitempty"`
	Past  []recordSub `json:"past,omitempty"`
	Given *recordGive `json:"given,omitempty"`
	Ended []string    `json:"ended,omitempty"`
}

type recordSub struct {
	Name string `json:"name"`
	At   uint64 `json:"at,omitempty"`
	From uint64 `json:"from,omitempty"`
	Upto uint64 `json:"upto,omitempty"`
	Met  bool   `json:"met,omitempty"`
}

// recordGive is what the client was given and has not acknowledged.
type recordGive struct {
	At   string `json:"at"`
	Past bool   `json:"past,omitempty"`
}

const (
	recordVersion = 1
	// recordTime is how long a record is kept beyond the life of its session.
	recordTime = 10 * time.Minute
	// recordWait bounds how long an answer waits for its record.
	recordWait = 2 * time.Second
)

// thisNode tells this process from the others that share a log.
var thisNode = rand.Text()

func recordID(client string) string {
	sum := sha256.Sum256([]byte("bayeux session " + client))
	return "bayeux:" + hex.EncodeToString(sum[:16])
}

// record is what is to be kept now. Called with mu held.
func (s *Session) record() *record {
	r := &record{
		Version: recordVersion, Node: thisNode, Page: s.page, AnyPage: s.anyPage, User: s.user, Acks: s.acks, Batch: s.batch,
		Last: string(s.lastID), Other: string(s.otherID), Ended: s.ended,
	}
	if !s.client.Credential.IsZero() {
		r.Digest = hex.EncodeToString([]byte(s.client.Digest(s.id)))
	}
	places, head := s.reader.Places()
	r.Head = head.String()
	for _, sub := range s.subs {
		r.Subs = append(r.Subs, recordSub{Name: sub.name, At: places[sub.Channel], From: sub.from, Upto: sub.upto.Seq, Met: sub.met})
	}
	if s.past != nil {
		places, _ := s.past.reader.Places()
		for _, of := range s.past.of {
			r.Past = append(r.Past, recordSub{Name: of.name, At: places[of.channel], Upto: of.upto})
		}
	}
	if g := s.given; g != nil {
		r.Given = &recordGive{At: g.taken.At.String(), Past: g.past != nil}
	}
	return r
}

// save keeps the session's record. It is false if another node has the session now.
func (s *Session) save(ctx context.Context) bool {
	if s.saved.Load() != 0 && !s.isHere() {
		return false
	}
	s.write(ctx)
	return true
}

// write writes the session's record, whoever had the session before.
func (s *Session) write(ctx context.Context) {
	hub := s.registry.keeper()
	s.mu.Lock()
	if s.closed || hub == nil {
		s.mu.Unlock()
		return
	}
	b, err := json.Marshal(s.record())
	until := time.Now().Add(s.expire + recordTime)
	s.mu.Unlock()
	if err != nil {
		return // it has no such values
	}
	ctx, cancel := context.WithTimeout(ctx, recordWait)
	defer cancel()
	// A session whose record cannot be kept goes on here.
	if err := hub.StoreRecord(ctx, recordID(s.id), b, until); err == nil {
		s.saved.Store(time.Now().UnixNano())
	}
}

// isHere tells whether the session is this node's. Where nobody shares the log, it is.
func (s *Session) isHere() bool {
	hub := s.registry.keeper()
	if hub == nil || !hub.Shared() {
		return true
	}
	value, ok, err := hub.Record(recordID(s.id))
	if err != nil || !ok {
		return true // nobody can have taken it
	}
	var r record
	return json.Unmarshal(value, &r) != nil || r.Node == thisNode
}

// outdated tells whether a record that does not change has to be written again, so
// that it lasts.
func (s *Session) outdated() bool {
	saved := s.saved.Load()
	return saved != 0 && time.Since(time.Unix(0, saved)) > recordTime/2
}

// find finds the session of a client: one that is here, or one that is taken up from
// its record. The error is for the client; advice, if any, is what it does then.
func (x *exchange) find(ctx context.Context, client string) (*Session, *Error, *advice) {
	unknown := errUnknownClient(client)
	if !validID(client) {
		return nil, unknown, nil
	}
	r := x.registry
	lock := &r.taking[client[0]%byte(len(r.taking))]
	s := r.find(client)
	if s != nil && s.restored != nil {
		<-s.restored // in the time that a question to the backend may take
	}
	switch {
	case s != nil && s.isHere():
	default:
		lock.Lock()
		defer lock.Unlock()
		if again := r.find(client); again != s {
			s = again // somebody was faster
			break
		}
		if s != nil {
			s.moved()
		}
		value, ok, err := x.server.Hub.Record(recordID(client))
		var kept record
		if err != nil {
			return nil, errServer("the sessions cannot be read now"), &advice{reconnect: retry, interval: time.Second}
		}
		if !ok || json.Unmarshal(value, &kept) != nil || kept.Version != recordVersion {
			return nil, unknown, nil
		}
		var fail *Error
		var then *advice
		if s, fail, then = x.takeUp(ctx, client, &kept); fail != nil {
			return nil, fail, then
		}
	}
	if s == nil || !s.belongsTo(x.client, x.page) {
		return nil, unknown, nil
	}
	return s, nil, nil
}

// validID tells whether text can be an id that newID has made.
func validID(text string) bool {
	return len(text) == 32 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// moved lets go of a session that another node has taken up.
func (s *Session) moved() {
	s.mu.Lock()
	if s.held != nil {
		s.held.cancel(errMoved)
		s.held = nil
	}
	s.mu.Unlock()
	s.close()
}

// takeUp makes a session again of its record.
func (x *exchange) takeUp(ctx context.Context, client string, kept *record) (*Session, *Error, *advice) {
	later := &advice{reconnect: retry, interval: time.Second}
	if kept.Digest != "" && !x.client.Credential.IsZero() && kept.Digest != hex.EncodeToString([]byte(x.client.Digest(client))) {
		return nil, errUnknownClient(client), nil
	}
	s, fail := x.admitSession(client)
	if fail != nil {
		return nil, fail, later
	}
	defer close(s.restored)
	s.mu.Lock()
	s.page, s.anyPage, s.user, s.acks, s.batch, s.ended = kept.Page, kept.AnyPage, kept.User, kept.Acks, kept.Batch, kept.Ended
	s.lastID, s.otherID = []byte(kept.Last), []byte(kept.Other)
	s.mu.Unlock()
	if fail := x.restore(ctx, s, kept); fail != nil {
		s.close()
		return nil, fail, later
	}
	s.write(ctx) // it is this node's from now on
	s.mu.Lock()
	defer s.mu.Unlock()
	s.await(x.expire)
	return s, nil, nil
}

// restore joins what a session had joined, at the places that it had reached.
func (x *exchange) restore(ctx context.Context, s *Session, kept *record) *Error {
	var subs []subscription
	at := map[string]recordSub{}
	for _, was := range kept.Subs {
		target, err := x.resolve(was.Name)
		if err != nil {
			s.lose(was.Name)
			continue
		}
		if !target.Pattern {
			target.Channel, target.Right = x.server.Names.Canonical(target.Channel), x.server.Names.Canonical(target.Right)
		}
		subs = append(subs, subscription{name: was.Name, Target: target, from: was.From, met: was.Met})
		at[was.Name] = was
	}
	subs, fail := x.askAgain(ctx, s, subs)
	if fail != nil {
		return fail
	}
	head, err := event.ParseCursor(kept.Head)
	if err != nil {
		return errUnknownClient(s.id)
	}
	past := map[string]recordSub{}
	for _, of := range kept.Past {
		past[of.Name] = of
	}
	for i := range subs {
		sub := &subs[i]
		was := at[sub.name]
		sub.upto = event.Cursor{Epoch: head.Epoch, Seq: was.Upto}
		if of, given := past[sub.name]; sub.Past > 0 {
			if given {
				was.At = of.At
			} else {
				was.At = was.Upto // it is over
			}
		}
		if err := x.rejoin(s, sub, head, was.At); err != nil {
			return errServer("the session cannot be taken up now")
		}
	}
	if g := kept.Given; g != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if to, err := event.ParseCursor(g.At); err == nil {
			s.given = &given{batch: kept.Batch}
			if g.Past && s.past != nil {
				s.given.past, s.given.taken = s.past, s.past.reader.UpTo(to)
			} else if !g.Past {
				s.given.taken = s.reader.UpTo(to)
			}
		}
	}
	return nil
}

// askAgain asks the backend for the rights of a session that is taken up. What it
// denies, the client is told.
func (x *exchange) askAgain(ctx context.Context, s *Session, subs []subscription) ([]subscription, *Error) {
	denied := map[string]bool{}
	for _, right := range s.rights(subs) {
		user, re := x.server.Join(ctx, s.who(), s.whose(), s.door, s.ticket, []string{right})
		switch {
		case re == nil:
			s.identify(user)
		case re.Passing:
			return nil, errServer("the service cannot say now whether you may listen")
		default:
			denied[right] = true
		}
	}
	allowed := subs[:0]
	for _, sub := range subs {
		if denied[sub.Right] {
			s.lose(sub.name)
			continue
		}
		allowed = append(allowed, sub)
	}
	return allowed, nil
}

// lose notes a subscription that the client has no more, to tell it.
func (s *Session) lose(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, name)
}

// rejoin joins one subscription where it was. head is a position that the client has
// seen: if the log has another one there, it is not the log that it was.
func (x *exchange) rejoin(s *Session, sub *subscription, head event.Cursor, at uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.Pattern {
		s.subs = append(s.subs, *sub)
		if p, err := stream.ParsePattern(sub.Channel); err == nil {
			s.reader.JoinPatternFrom(p, event.Cursor{Epoch: head.Epoch, Seq: at})
		}
		return nil
	}
	channels := []string{sub.Channel}
	start, err := x.server.Hub.Resolve(channels, stream.From{Cursor: head.String()})
	if err == nil && (len(start.Missing) == 0 || start.Missing[0].Reason != event.EpochChanged) {
		var place event.Cursor
		if place, err = x.server.Hub.CursorAt(at); err == nil {
			start, err = x.server.Hub.Resolve(channels, stream.From{Cursor: place.String()})
		}
	}
	if err != nil {
		return err
	}
	s.subs = append(s.subs, *sub)
	switch {
	case sub.Past == 0:
		s.reader.Join(sub.Channel, start)
	case at < sub.upto.Seq:
		s.joinPast(x.server.Hub, sub, start)
	}
	return nil
}
