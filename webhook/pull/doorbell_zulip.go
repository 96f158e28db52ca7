package pull

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// hearQueue listens to an event queue of Zulip (zulip.com/api/real-time-events) until it
// is gone. A queue dies after ten idle minutes, and ids do not cross queues: whatever
// was said between two of them is read by the pull.
func (d *Doorbell) hearQueue(ctx context.Context) error {
	var queue struct {
		QueueID     string `json:"queue_id"`
		LastEventID int64  `json:"last_event_id"`
	}
	form := url.Values{"event_types": {`["message","update_message","delete_message"]`}, "all_public_streams": {"true"}}
	if err := d.callZulip(ctx, http.MethodPost, "/api/v1/register", form, &queue); err != nil {
		return fmt.Errorf("registering an event queue: %w", err)
	}
	d.open()
	for {
		var answer struct {
			Events []json.RawMessage `json:"events"`
		}
		query := url.Values{"queue_id": {queue.QueueID}, "last_event_id": {strconv.FormatInt(queue.LastEventID, 10)}}
		if err := d.callZulip(ctx, http.MethodGet, "/api/v1/events", query, &answer); err != nil {
			return fmt.Errorf("reading an event queue: %w", err)
		}
		for _, e := range answer.Events {
			var id struct {
				ID int64 `json:"id"`
			}
			if json.Unmarshal(e, &id) == nil {
				queue.LastEventID = max(queue.LastEventID, id.ID)
			}
			d.ring(e)
		}
	}
}

var errZulip = errors.New("the app does not say success")

// callZulip calls the API. A GET may be held by the app for more than a minute.
func (d *Doorbell) callZulip(ctx context.Context, method, path string, parameters url.Values, to any) error {
	u, err := d.address(path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(parameters.Encode())
	} else {
		u.RawQuery = parameters.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return errAddress
	}
	req.Header, req.Host = d.header(), d.host()
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return withoutAddress(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the app answers %d", resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 8*maxRing))
	if err != nil {
		return withoutAddress(err)
	}
	var result struct {
		Result string `json:"result"`
	}
	if err := json.Unmarshal(text, &result); err != nil || result.Result != "success" {
		return errOr(err, errZulip)
	}
	return json.Unmarshal(text, to)
}
