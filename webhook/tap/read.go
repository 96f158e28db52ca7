package tap

import (
	"context"
	"sync"
	"time"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// emptyDocument stands for an answer that has no body, or none that is read.
var emptyDocument = []byte("{}")

// input is an answer as rules see it.
func (a *Answer) input(body []byte, user string) (in decode.Input, ok bool) {
	vars, ok := a.route.of.pattern.values(a.route.escaped)
	in = decode.Input{Body: body, Path: vars, Header: a.header, User: user}
	if a.route.of.readsRequest {
		in.Request = a.request.document()
	}
	return in, ok
}

// users are whose credentials the clients of a batch have, where a rule wants to know.
// The app is asked about several at a time.
func (t *Tap) users(batch []*Answer) []string {
	users := make([]string, len(batch))
	var work sync.WaitGroup
	slots := make(chan struct{}, 8)
	ctx, cancel := context.WithTimeout(t.ctx, askTime)
	defer cancel()
	for i, a := range batch {
		if a.cause != nil || !a.readsUser() {
			continue
		}
		channel := a.channel().Text
		slots <- struct{}{}
		work.Go(func() { // ends with its question, in askTime
			defer func() { <-slots }()
			users[i] = a.client.User(ctx, channel)
		})
	}
	work.Wait()
	return users
}

func (a *Answer) readsUser() bool {
	for _, r := range a.rules {
		if r.readsUser {
			return true
		}
	}
	return false
}

// channel is the channel that the answer is about, as far as the request says so.
func (a *Answer) channel() event.Scalar {
	in, ok := a.input(emptyDocument, "")
	if !ok {
		return event.Scalar{}
	}
	s := decode.NewPayload(in)
	defer s.Release()
	for _, r := range a.rules {
		if r.decoder != nil && !r.decoder.FindsNoChannel() {
			if err := r.decoder.Read(s); err == nil {
				if channel, ok := r.decoder.Channel(s); ok {
					return channel
				}
			}
		}
		if r.poke != nil {
			if channel, ok := scalar(r.poke, s); ok {
				return channel
			}
		}
	}
	return event.Scalar{}
}

// scalar is the name of a channel that a template gives.
func scalar(t *decode.Template, s *decode.Payload) (channel event.Scalar, ok bool) {
	v, err := t.Value(s)
	if err != nil {
		return event.Scalar{}, false
	}
	channel, ok = v.Name()
	return channel, ok && event.ValidChannel(channel.Text)
}

// read says what an answer brings.
func (t *Tap) read(a *Answer, user string, all *brought) {
	if a.cause != nil {
		t.unread(a, a.cause)
		return
	}
	body := emptyDocument
	if a.copied && len(a.body) > 0 {
		var err error
		if body, err = unpack(a.coding, a.body); err != nil {
			t.unread(a, causeUnpacked)
			return
		}
	}
	in, ok := a.input(body, user)
	if !ok {
		t.unread(a, causeMisread)
		return
	}
	s := decode.NewPayload(in)
	defer s.Release()
	if err := readDocument(s); err != nil {
		t.unread(a, causeBroken)
		return
	}
	done, wrongType := false, false
	for _, r := range a.rules {
		if not := a.excludes(r, s, done); not != "" {
			wrongType = wrongType || not == causeType.text
			continue
		}
		if r.revokes {
			t.revoke(r, a, s, all)
			continue
		}
		done = true
		t.apply(r, a, s, all)
	}
	if !done && wrongType {
		t.unread(a, causeType)
	}
}

// reader only reads documents.
var reader = sync.OnceValue(func() *decode.Decoder {
	d, err := decode.NewAnswerDecoder(decode.Config{Format: decode.JSON, Map: []decode.MapRule{{Field: "channel", Value: "{res}"}}})
	if err != nil {
		panic(err) // it is constant
	}
	return d
})

func readDocument(s *decode.Payload) error { return reader().Read(s) }

// fits tells whether the answer is of a kind that the rule is for: what a rule reads
// is JSON, and an answer of which it reads nothing is empty or JSON. A page with a
// status of 200 is an error, more often than not. What only asks or reads again is for
// every answer.
func (a *Answer) fits(r *rule) bool {
	return a.json || !r.readsBody && (a.seen == 0 || r.decoder == nil)
}

// apply does what a rule says.
func (t *Tap) apply(r *rule, a *Answer, s *decode.Payload, all *brought) {
	if r.poke != nil {
		channel, ok := scalar(r.poke, s)
		if ok && t.o.Poke(event.Poke{Channel: channel.Text, Why: "a tap that only pokes"}) {
			t.counts.add(r.name, outcomePoked)
			return
		}
		if r.decoder == nil {
			t.idle(r, ok)
			return
		}
	}
	out, err := r.decoder.Map(s)
	if err != nil {
		t.unmapped(r, a, err.Error())
		return
	}
	all.revocations = append(all.revocations, out.Revoke...)
	if out.Dropped > 0 {
		t.counts.add(r.name, outcomeDropped)
	}
	if out.Unmapped > 0 {
		t.unmapped(r, a, out.Reason)
	}
	for i := range out.Events {
		e := &out.Events[i]
		if r.decoder.FindsNoChannel() && !t.find(e) {
			t.counts.add(r.name, outcomePoked)
			all.pokes = append(all.pokes, event.Poke{Why: "a message was changed whose channel is not known"})
			continue
		}
		r.trim(e)
		all.events, all.rules = append(all.events, *e), append(all.rules, r.name)
	}
}

// trim takes from an event what is not delivered.
func (r *rule) trim(e *event.Event) {
	switch {
	case r.thin:
		*e = event.Event{Channel: e.Channel, To: e.To, ID: e.ID, Version: e.Version, Op: e.Op, Time: e.Time, Delivery: e.Delivery}
	case len(r.fields) > 0 && len(e.Payload) > 0 && e.Shape != event.Mapped:
		e.Payload = allowed(e.Payload, r.fields)
	}
}

// find looks for the one channel that has the message.
func (t *Tap) find(e *event.Event) bool {
	ctx, cancel := context.WithTimeout(t.ctx, findTime)
	defer cancel()
	channels, err := t.o.Find(ctx, e.ID.Text)
	if err != nil || len(channels) != 1 {
		return false
	}
	e.Channel = event.String(channels[0])
	return true
}

// revoke notes whom the app is asked about again.
func (t *Tap) revoke(r *rule, a *Answer, s *decode.Payload, all *brought) {
	t.counts.add(r.name, outcomeRevoked)
	all.rechecks = append(all.rechecks, a.client)
	revocation := decode.Revocation{}
	for _, part := range []struct {
		from *decode.Template
		to   *string
	}{{r.user, &revocation.User}, {r.channel, &revocation.Channel}} {
		if part.from == nil {
			continue
		}
		v, err := part.from.Value(s)
		name, ok := v.Name()
		if err != nil || !ok {
			return // it does not say about whom
		}
		*part.to = name.Text
	}
	if revocation != (decode.Revocation{}) {
		all.revocations = append(all.revocations, revocation)
	}
}

// unread says that an answer brings nothing, and why.
func (t *Tap) unread(a *Answer, why *cause) {
	r := a.rules[0]
	if r.revokes && len(a.rules) == 1 {
		if why == causeMisread || why == causeCached {
			return
		}
		a.client.Recheck()
		t.counts.add(r.name, outcomeRevoked)
		return
	}
	t.counts.add(r.name, outcomeUnread)
	line := &t.counts.unread
	if why.tell { // what clients can cause at will must not hide it
		line = &t.counts.doubtful
	}
	if times, ok := line.turn(time.Minute); ok {
		t.o.Logger.Warn("an answer of the app was not read by a tap", "tap", a.route.Name(), "status", a.status, "reason", why.text, "may_be_missing", why.tell, "times", times)
	}
	channel := a.channel()
	switch {
	case why.tell:
		t.doubts.in(channel, why.text)
	case !channel.IsZero():
		t.o.Poke(event.Poke{Channel: channel.Text, Why: why.text})
	}
}

// unmapped says that an answer was not understood.
func (t *Tap) unmapped(r *rule, a *Answer, reason string) {
	t.counts.add(r.name, outcomeUnmapped)
	if times, ok := t.counts.unmapped.turn(time.Minute); ok {
		t.o.Logger.Warn("an answer of the app could not be mapped by a tap", "tap", r.name, "reason", reason, "times", times)
	}
	if channel := a.channel(); !channel.IsZero() {
		t.o.Poke(event.Poke{Channel: channel.Text, Why: "an answer could not be mapped"})
	}
}

// idle says that a rule pokes and nobody reads.
func (t *Tap) idle(r *rule, named bool) {
	t.counts.add(r.name, outcomeIdle)
	if times, ok := t.counts.idle.turn(time.Hour); ok {
		reason := "no pull reads that channel; configure one, or map the answer"
		if !named {
			reason = "poke has no channel"
		}
		t.o.Logger.Warn("a tap pokes, and nothing comes of it", "tap", r.name, "reason", reason, "times", times)
	}
}

// allowed is a JSON object with only these fields.
func allowed(object []byte, fields []string) []byte {
	v, err := fastjson.ParseBytes(object)
	if err != nil {
		return emptyDocument
	}
	o, err := v.Object()
	if err != nil {
		return emptyDocument
	}
	doc := []byte{'{'}
	o.Visit(func(key []byte, value *fastjson.Value) {
		for _, name := range fields {
			if string(key) == name {
				if len(doc) > 1 {
					doc = append(doc, ',')
				}
				doc = append(decode.AppendJSONString(doc, name), ':')
				doc = value.MarshalTo(doc)
			}
		}
	})
	return append(doc, '}')
}
