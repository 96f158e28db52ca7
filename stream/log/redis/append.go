package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// Append implements Log. Without an answer in time, or with too few replicas,
// the events may be stored all the same: whoever repeats them learns that.
// While Follow says that Redis is not connected, it fails at once.
func (r *Log) Append(events []event.Event, marks []event.Mark) ([]log.Appended, error) {
	client, err := r.connected()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	known, retention := r.head, r.retention
	r.mu.Unlock()
	args := append(r.stateArgs(known),
		strconv.Itoa(retention.Events), strconv.FormatInt(retention.Bytes, 10),
		strconv.Itoa(r.options.FeedEvents), strconv.FormatInt(r.options.FeedBytes, 10),
		strconv.Itoa(log.StepEvents+2*len(events)), strconv.Itoa(len(events)), strconv.Itoa(len(marks)),
	)
	var scratch []byte
	var tags event.Tags // random: once two logs have parted, their tags never agree again
	for i := range events {
		args, scratch = appendEventArgs(args, &events[i], tags.Next(), scratch)
	}
	for _, m := range marks {
		args = append(args, m.Source, m.Value)
	}

	ctx, cancel := context.WithTimeout(r.life, r.options.Timeout)
	defer cancel()
	s, err := r.appendAndWait(ctx, client, args)
	if err != nil {
		return nil, err
	}
	if !s.same {
		return nil, &callError{doing: "appending to Redis", text: errEpoch.Error(), kind: log.ErrFailed}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.learn(s)
	if r.head.Epoch != known.Epoch {
		// What was stored stands in an epoch that is over for this process.
		return nil, fmt.Errorf("appending to Redis: %w", errEpoch)
	}
	r.advance(s.head)
	r.stats.Appends++
	return r.appended(events, s)
}

// appendEventArgs adds what the script is told of an event.
func appendEventArgs(args []string, given *event.Event, tag event.Tag, scratch []byte) ([]string, []byte) {
	kept := given.Kept()
	e := &kept
	token := ""
	if key := e.Key(); key != "" {
		token = tokenOf(key)
	}
	content, scratch := log.ContentOf(e, scratch)
	encoded, said := e.AppendParts(scratch[:0])
	args = append(args, token, strconv.FormatUint(content, 36), tokenOf(e.Channel.Text),
		strconv.FormatUint(uint64(tag), 10), string(encoded), strconv.Itoa(said))
	message := ""
	if !e.ID.IsZero() {
		message = tokenOf(event.MessageKey(e.Channel.Text, e.ID.Text))
	}
	args = append(args, strconv.Itoa(int(e.Op)), message)
	if e.Changes() {
		// A message from before this format cannot be cut: this stands in for it.
		whole := event.Event{Channel: e.Channel, ID: e.ID, Type: e.Type, User: e.User, UserName: e.UserName, To: e.To, Time: e.Time}
		whole = whole.WithText(e)
		form, at := whole.AppendParts(nil)
		args = append(args, tokenOf(event.CreateKey(e.Channel.Text, e.ID.Text)), string(form[at:]), string(form), strconv.Itoa(at))
	}
	return args, encoded
}

// appendAndWait runs the script and then waits for the replicas that are to
// have what it has written, which must be asked on the same connection.
func (r *Log) appendAndWait(ctx context.Context, client rueidis.Client, args []string) (answer, error) {
	run := func(c doer) (answer, error) {
		reply, err := appendScript.run(ctx, c, r.keys, args)
		if err != nil {
			return answer{}, r.wrap("appending to Redis", err)
		}
		return parseAnswer(reply)
	}
	if r.options.Replicas <= 0 {
		return run(client)
	}
	conn, release := client.Dedicate()
	defer release()
	s, err := run(conn)
	if err != nil || !s.same {
		return s, err
	}
	deadline, _ := ctx.Deadline()
	wait := max(1, time.Until(deadline).Milliseconds()*3/4)
	n, err := conn.Do(ctx, conn.B().Wait().Numreplicas(int64(r.options.Replicas)).Timeout(wait).Build()).AsInt64()
	if err != nil {
		return s, r.wrap("waiting for replicas of Redis", err)
	}
	if n < int64(r.options.Replicas) {
		return s, fmt.Errorf("appending to Redis: only %d of %d replicas have it", n, r.options.Replicas)
	}
	return s, nil
}

// appended says what became of each event. Called with r.mu held.
func (r *Log) appended(events []event.Event, s answer) ([]log.Appended, error) {
	if len(s.rest) != 1+3*len(events) {
		return nil, fmt.Errorf("redis answered with %d fields for %d events", len(s.rest), len(events))
	}
	if behind, _ := s.rest[0].AsInt64(); behind != 0 && r.scan == "" {
		r.scan = "0"
	}
	results := make([]log.Appended, len(events))
	for i := range events {
		var err error
		if results[i], err = outcome(s.rest[1+3*i:], &events[i], s.at); err != nil {
			return nil, errReply("append", err)
		}
	}
	return results, nil
}

// outcome reads what became of an event that was taken at a time: three fields.
func outcome(fields []rueidis.RedisMessage, e *event.Event, at int64) (a log.Appended, err error) {
	seq, err := fields[0].AsInt64()
	if err != nil {
		return a, err
	}
	tag, err := fields[1].AsInt64()
	if err != nil {
		return a, err
	}
	a.Entry.Seq, a.Entry.Tag = uint64(seq), event.Tag(tag)
	kind, err := fields[2].ToString()
	if err != nil || kind == "" {
		return a, fmt.Errorf("no outcome: %w", err)
	}
	switch kind[0] {
	case '1', '2':
		a.Duplicate, a.Conflict = true, kind[0] == '2'
		return a, nil
	case '3':
		a.Entry.Event, err = event.DecodeBinary([]byte(kind[1:]))
	default:
		a.Entry.Event = e.Kept()
	}
	a.Entry.At = at
	return a, err
}

// Sweep implements Log. Ages are told by the clock of the Redis server; now only
// says how much time has passed since it was asked. That this clock is set
// forward while the process runs makes nothing older.
func (r *Log) Sweep(now time.Time) (more bool, err error) {
	client, err := r.connected()
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	known, retention, scan := r.head, r.retention, r.scan
	passed := r.passed(now)
	aged := ""
	if retention.Age > 0 {
		aged = strconv.FormatInt(r.clock.cutoff(passed, retention.Age), 10)
	}
	expired := strconv.FormatInt(r.clock.cutoff(passed, retention.KeyWindow()), 10)
	r.mu.Unlock()

	ctx, cancel := context.WithTimeout(r.life, r.options.Timeout)
	defer cancel()
	args := append(r.stateArgs(known), strconv.Itoa(retention.Events), strconv.FormatInt(retention.Bytes, 10),
		aged, expired, strconv.Itoa(log.StepEvents), scan)
	reply, err := sweepScript.run(ctx, client, r.keys, args)
	if err != nil {
		return false, r.wrap("sweeping in Redis", err)
	}
	s, err := parseAnswer(reply)
	if err != nil || !s.same || len(s.rest) != 2 {
		return false, err // another epoch has nothing to sweep yet
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.learn(s)
	next, err := s.rest[1].ToString()
	if err != nil {
		return false, errReply("sweep", err)
	}
	if r.retention == retention { // else it begins again
		r.scan = next
	}
	left, err := s.rest[0].AsInt64()
	return left != 0, err
}

// Clear implements Log.
func (r *Log) Clear(channel string) (more bool, err error) {
	client, err := r.connected()
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	args := append(r.stateArgs(r.head), tokenOf(channel), strconv.Itoa(log.StepEvents))
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(r.life, r.options.Timeout)
	defer cancel()
	reply, err := clearScript.run(ctx, client, r.keys, args)
	if err != nil {
		return false, r.wrap("clearing a channel in Redis", err)
	}
	s, err := parseAnswer(reply)
	if err != nil || !s.same || len(s.rest) != 1 {
		return false, err // another epoch has nothing of it
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.learn(s)
	left, err := s.rest[0].AsInt64()
	return left != 0, err
}
