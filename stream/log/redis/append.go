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
func appendEventArgs(args []string, e *event.Event, tag event.Tag, scratch []byte) ([]string, []byte) {
	token := ""
	if key := e.Key(); key != "" {
		token = tokenOf(key)
	}
	content, scratch := log.ContentOf(e, scratch)
	encoded, said := e.AppendParts(scratch[:0])
	return append(args, token, strconv.FormatUint(content, 36), tokenOf(e.Channel.Text),
		strconv.FormatUint(uint64(tag), 10), string(encoded), strconv.Itoa(said)), encoded
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
	if behind, _ := s.rest[0].AsBool(); behind && r.scan == "" {
		r.scan = "0"
	}
	results := make([]log.Appended, len(events))
	for i := range events {
		var n [3]int64
		for j := range n {
			var err error
			if n[j], err = s.rest[1+3*i+j].AsInt64(); err != nil {
				return nil, errReply("append", err)
			}
		}
		a := &results[i]
		a.Entry.Seq, a.Entry.Tag = uint64(n[0]), event.Tag(n[1])
		a.Duplicate, a.Conflict = n[2] > 0, n[2] == 2
		if !a.Duplicate {
			a.Entry.At, a.Entry.Event = s.at, events[i]
		}
	}
	return results, nil
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
