package tail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Config says what to follow. URL is required.
type Config struct {
	URL string
	// Accept is the Accept header. Empty: events with cursors are preferred.
	Accept string
	// Authorization is the header of that name, "" for none.
	Authorization string
	// Header are more headers of each request, such as a cookie, or a key in a header
	// of the app's own. What stands there takes the place of ours.
	Header http.Header
	// Host is asked for in place of the URL's, if it is set.
	Host string
	// Cursor is where to begin, as an earlier stream said. Since is the backend's
	// id of the last message that was seen. If both are empty, the stream begins
	// with what is new.
	Cursor, Since string
	// Client makes the requests. It must have no overall timeout and follow no
	// redirects.
	Client *http.Client
	// Quiet is how long a stream may send nothing, not even a heartbeat, before it
	// counts as dead. Default: 90 s.
	Quiet time.Duration
	// FirstWait and LongestWait bound the time before a connection is tried
	// again, if the server does not say. Default: 1 s and 60 s.
	FirstWait, LongestWait time.Duration
	// Item gets each part of the stream; its Payload is nil if only the cursor
	// moved. Note gets what happens to the connection, and Lost gets why messages
	// may be missing. All three are called from Follow.
	Item func(Item)
	Note func(string)
	Lost func(string)
}

// Refused is the error of an answer that stays the same if it is asked for again.
type Refused struct {
	Status int
	Text   string // the start of the answer's body
}

func (r *Refused) Error() string {
	var advice string
	switch {
	case r.Status == http.StatusUnauthorized:
		advice = "the server wants to know who you are, and did not accept what it got: give --token or --bearer"
	case r.Status == http.StatusForbidden:
		advice = "you are known, but may not listen here"
	case r.Status == http.StatusNotFound:
		advice = "there is no such stream, or you may not know of it"
	case r.Status == http.StatusNoContent:
		advice = "the server says that there will be nothing more"
	case r.Status >= 300 && r.Status < 400:
		advice = "streams do not redirect: give the address that is meant"
	default:
		advice = "the server does not take this request"
	}
	return fmt.Sprintf("%d %s: %s", r.Status, http.StatusText(r.Status), advice)
}

// ErrContentType is the error of an answer that is no stream.
var ErrContentType = errors.New("the answer is no stream")

// errQuiet ends a connection on which nothing arrives.
var errQuiet = errors.New("the stream has gone quiet")

// follower is one Follow.
type follower struct {
	Config
	cursor, since string
	wait          time.Duration // before the next try, without jitter
	asked         time.Duration // what the server asked to wait, 0 if nothing
}

// Follow reads the stream until ctx ends (then it returns nil) or the server
// refuses it for good.
func Follow(ctx context.Context, c Config) error {
	if c.Accept == "" {
		c.Accept = "text/event-stream, application/json;q=0.9, application/xml;q=0.8"
	}
	c.Quiet = orDefault(c.Quiet, 90*time.Second)
	c.FirstWait = orDefault(c.FirstWait, time.Second)
	c.LongestWait = orDefault(c.LongestWait, time.Minute)
	f := &follower{Config: c, cursor: c.Cursor, since: c.Since, wait: c.FirstWait}
	for {
		err := f.connect(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var refused *Refused
		if errors.As(err, &refused) || errors.Is(err, ErrContentType) {
			return err
		}
		pause := f.pause()
		f.Note(fmt.Sprintf("%v; coming back in %v", err, pause.Round(time.Millisecond)))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// pause is the time before the next try. It differs between clients, so that they do
// not all come back at once.
func (f *follower) pause() time.Duration {
	wait := max(f.wait, f.asked)
	f.wait = min(2*f.wait, f.LongestWait)
	return wait + rand.N(wait/2+1)
}

// connect opens the stream and reads it to its end. It always returns an error.
func (f *follower) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(f.Quiet, func() { cancel(errQuiet) })
	defer quiet.Stop()

	req, err := f.request(ctx)
	if err != nil {
		return err
	}
	resp, err := f.Client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause == errQuiet {
			return cause
		}
		return fmt.Errorf("connecting: %w", withoutURL(err))
	}
	defer resp.Body.Close()
	f.asked = 0
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		f.asked = min(time.Duration(s)*time.Second, time.Hour)
	}
	if resp.StatusCode != http.StatusOK {
		return answerError(resp)
	}
	d := NewDecoder(resp.Header.Get("Content-Type"))
	if d == nil {
		return fmt.Errorf("%w: its Content-Type is %q", ErrContentType, resp.Header.Get("Content-Type"))
	}
	resumed := ""
	if f.cursor != "" || f.since != "" {
		resumed = ", going on where it was left"
	}
	f.Note("listening to " + resp.Header.Get("Content-Type") + resumed)
	if state := resp.Header.Get("Stream-Resume"); len(state) >= 3 && state[:3] == "gap" {
		f.Lost("the server cannot go on where it was left (" + state + ")")
	}
	err = f.read(resp.Body, d, quiet)
	if wait, ok := d.Retry(); ok {
		f.asked = min(wait, time.Hour)
	}
	if cause := context.Cause(ctx); cause == errQuiet {
		return cause
	}
	return err
}

func (f *follower) read(body io.Reader, d Decoder, quiet *time.Timer) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			quiet.Reset(f.Quiet)
			if err := d.Feed(buf[:n], f.take); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return errors.New("the server ended the stream")
		}
		if err != nil {
			return fmt.Errorf("reading the stream: %w", err)
		}
	}
}

// take remembers the position and passes the item on. A stream that sends something
// works, so the next trouble begins with a short wait again.
func (f *follower) take(item Item) {
	f.wait = f.FirstWait
	if item.Cursor != "" {
		f.cursor = item.Cursor
	}
	if item.ID != "" && !item.Gap {
		f.since = item.ID
	}
	if item.Gap {
		f.Lost(string(item.Payload))
		return
	}
	f.Item(item)
}

// request asks for what comes after the last item: by cursor if the stream has
// cursors, otherwise by the backend's id of the last message.
func (f *follower) request(ctx context.Context) (*http.Request, error) {
	u, err := url.Parse(f.URL)
	if err != nil {
		return nil, errors.New("the address cannot be read") // its text may hold a password
	}
	if f.cursor == "" && f.since != "" {
		q := u.Query()
		q.Set("since_message_id", f.since)
		u.RawQuery = q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("the address cannot be asked for")
	}
	req.Header.Set("Accept", f.Accept)
	req.Header.Set("Cache-Control", "no-cache")
	req.Header.Set("User-Agent", "sidestream-tail")
	if f.Authorization != "" {
		req.Header.Set("Authorization", f.Authorization)
	}
	maps.Copy(req.Header, f.Header)
	if f.Host != "" {
		req.Host = f.Host
	}
	if f.cursor != "" {
		req.Header.Set("Last-Event-ID", f.cursor)
	}
	return req, nil
}

// answerError tells lasting refusals from trouble that passes.
func answerError(resp *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 300)) // whatever can be read
	switch s := resp.StatusCode; {
	case s == http.StatusRequestTimeout, s == http.StatusConflict, s == http.StatusTooManyRequests, s >= 500:
		return fmt.Errorf("the server answered %d %s", s, http.StatusText(s))
	default:
		return &Refused{Status: s, Text: string(text)}
	}
}

// withoutURL drops the address from an error: it may hold a token.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
