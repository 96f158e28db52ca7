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

const (
	// readEvents and readBytes bound what one script reads, and so for how long
	// Redis serves nobody else.
	readEvents = 256
	readBytes  = 256 << 10
	// packedTag and packedAt are where tag and time of an entry end, as it is
	// kept in Redis, and packed is where its form begins; see state.lua.
	packedTag, packedAt, packed = 10, 24, 33
	// maxSeq is the newest position that scripts can count to.
	maxSeq = 1<<53 - 2
)

// Read implements Log.
func (r *Log) Read(channels []string, after, upto uint64, limit, maxBytes int) (entries []event.Entry, more bool, err error) {
	upto = min(upto, maxSeq)
	if len(channels) == 0 || after >= upto {
		return nil, false, nil
	}
	client, err := r.connected()
	if err != nil {
		return nil, false, err
	}
	args := []string{r.Head().Epoch.String(), "", strconv.FormatUint(upto, 10), strconv.Itoa(readEvents), strconv.Itoa(readBytes)}
	seen := map[string]bool{}
	for _, channel := range channels {
		if !seen[channel] {
			seen[channel] = true
			args = append(args, tokenOf(channel))
		}
	}
	if limit > 0 {
		args[3] = strconv.Itoa(min(readEvents-1, limit) + 1)
	}
	if maxBytes > 0 {
		args[4] = strconv.Itoa(min(readBytes, maxBytes))
	}
	size := 0
	for first := true; ; first = false {
		args[1] = strconv.FormatUint(after, 10)
		page, err := r.readPage(client, args)
		if err != nil {
			return nil, false, err
		}
		if !first && page.trimmed > after {
			return entries, true, nil // retention overtook this read: what is there is whole
		}
		for i, entry := range page.entries {
			size += page.sizes[i]
			if len(entries) > 0 && (limit > 0 && len(entries) == limit || maxBytes > 0 && size > maxBytes) {
				return entries, true, nil
			}
			entries = append(entries, entry)
			after = entry.Seq
		}
		if !page.more {
			return entries, false, nil
		}
	}
}

type page struct {
	entries []event.Entry
	sizes   []int
	trimmed uint64
	more    bool
}

func (r *Log) readPage(client rueidis.Client, args []string) (p page, err error) {
	reply, err := r.look(client, readScript, args)
	if err != nil {
		return p, err
	}
	if len(reply) < 2 || len(reply)%2 != 0 {
		return p, fmt.Errorf("redis answered with %d fields", len(reply))
	}
	trimmed, err := reply[0].AsInt64()
	if err != nil {
		return p, errReply("trimmed", err)
	}
	p.trimmed = uint64(trimmed)
	if p.more, err = reply[1].AsBool(); err != nil {
		return p, errReply("more", err)
	}
	for f := reply[2:]; len(f) > 0; f = f[2:] {
		seq, err := f[0].AsInt64()
		if err != nil {
			return p, errReply("seq", err)
		}
		text, err := f[1].ToString()
		if err != nil {
			return p, errReply("entry", err)
		}
		entry, size, err := unpack(uint64(seq), text)
		if err != nil {
			return p, err
		}
		p.entries = append(p.entries, entry)
		p.sizes = append(p.sizes, size)
	}
	return p, nil
}

// unpack reads what EVENTS holds of an entry.
func unpack(seq uint64, text string) (entry event.Entry, size int, err error) {
	from := packed
	if len(text) > packedAt && text[packedAt] == 1 {
		from = packedAt // from before format 2
	}
	if len(text) < from {
		return entry, 0, fmt.Errorf("entry %d in Redis has %d bytes", seq, len(text))
	}
	entry, err = parseEntry(seq, text[:packedTag], text[packedTag:packedAt], text[from:])
	return entry, len(text) - from, err
}

func parseEntry(seq uint64, tag, at, encoded string) (entry event.Entry, err error) {
	entry.Seq = seq
	t, err := strconv.ParseUint(tag, 10, 32)
	if err != nil {
		return entry, fmt.Errorf("entry %d in Redis: %w", seq, err)
	}
	entry.Tag = event.Tag(t)
	if entry.At, err = strconv.ParseInt(at, 10, 64); err != nil {
		return entry, fmt.Errorf("entry %d in Redis: %w", seq, err)
	}
	if entry.Event, err = event.DecodeBinary([]byte(encoded)); err != nil {
		return entry, fmt.Errorf("entry %d in Redis: %w", seq, err)
	}
	return entry, nil
}

// look runs a script that reads, and takes the status off its reply.
func (r *Log) look(client rueidis.Client, s *script, args []string) ([]rueidis.RedisMessage, error) {
	ctx, cancel := context.WithTimeout(r.life, r.options.Timeout)
	defer cancel()
	reply, err := s.run(ctx, client, r.keys, args)
	if err != nil {
		return nil, r.wrap("reading from Redis", err)
	}
	if len(reply) == 0 {
		return nil, fmt.Errorf("redis answered with nothing")
	}
	status, err := reply[0].AsInt64()
	if err != nil {
		return nil, errReply("status", err)
	}
	if status != 0 {
		return nil, &callError{doing: "reading from Redis", text: errEpoch.Error(), kind: log.ErrFailed}
	}
	return reply[1:], nil
}

// find asks one question whose answer is a number, if there is one.
func (r *Log) find(question ...string) (answer uint64, ok bool, err error) {
	client, err := r.connected()
	if err != nil {
		return 0, false, err
	}
	reply, err := r.look(client, findScript, append([]string{r.Head().Epoch.String()}, question...))
	if err != nil || len(reply) == 0 || reply[0].IsNil() {
		return 0, false, err
	}
	n, err := reply[0].AsInt64()
	if err != nil {
		return 0, false, errReply(question[0], err)
	}
	return uint64(n), true, nil
}

// Trimmed implements Log.
func (r *Log) Trimmed(channel string) (uint64, error) {
	seq, _, err := r.find("trimmed", tokenOf(channel))
	return seq, err
}

// TagAt implements Log.
func (r *Log) TagAt(seq uint64) (event.Tag, bool, error) {
	if seq == 0 || seq > maxSeq {
		return 0, false, nil
	}
	tag, ok, err := r.find("tag", strconv.FormatUint(seq, 10))
	return event.Tag(tag), ok, err
}

// SeqOf implements Log.
func (r *Log) SeqOf(channel, id string) (uint64, bool, error) {
	return r.find("seq", tokenOf(event.CreateKey(channel, id)))
}

// SeqBefore implements Log. The time is compared with that of the Redis server.
func (r *Log) SeqBefore(t time.Time) (uint64, error) {
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	seq, _, err := r.find("before", strconv.FormatInt(ms, 10))
	return seq, err
}

// Mark implements Log.
func (r *Log) Mark(source string) (string, error) {
	client, err := r.connected()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(r.life, r.options.Timeout)
	defer cancel()
	value, err := client.Do(ctx, client.B().Hget().Key(r.keys[keyMarks]).Field(source).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		return "", nil
	}
	if err != nil {
		return "", r.wrap("reading a mark from Redis", err)
	}
	return value, nil
}
