package operator

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// ChannelView is a channel in memory: one that somebody listens to, or did lately.
type ChannelView struct {
	Hub       string `json:"hub"`
	Name      string `json:"name"`
	Listeners int    `json:"listeners"`
	// Events are recent ones in memory, Bytes theirs.
	Events int   `json:"events"`
	Bytes  int64 `json:"bytes"`
	// Last is when the newest of them came.
	Last *time.Time `json:"last,omitempty"`
}

// ChannelPage is a part of the list of channels.
type ChannelPage struct {
	Channels []ChannelView `json:"channels"`
	// Next is the parameter `after` of the next page; empty if this is the last.
	Next string `json:"next,omitempty"`
}

// channels answers with a ChannelPage.
func (a *API) channels(w http.ResponseWriter, r *http.Request) error {
	if err := only(r, "hub", "prefix", "after", "limit"); err != nil {
		return err
	}
	limit, err := limitOf(r, usualPage)
	if err != nil {
		return err
	}
	hubs, err := a.chosen(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	begin, after, _ := strings.Cut(q.Get("after"), ":")
	page := ChannelPage{Channels: []ChannelView{}}
	for i := range hubs {
		h := &hubs[i]
		if h.Name() < begin {
			continue
		}
		if h.Name() != begin {
			after = ""
		}
		left := limit - len(page.Channels)
		if left == 0 {
			page.Next = page.last()
			break
		}
		views, more := h.Channels(q.Get("prefix"), after, left)
		for _, v := range views {
			view := ChannelView{Hub: h.Name(), Name: v.Name, Listeners: v.Listeners, Events: v.Events, Bytes: v.Bytes}
			if !v.Last.IsZero() {
				view.Last = &v.Last
			}
			page.Channels = append(page.Channels, view)
		}
		if more {
			page.Next = page.last()
			break
		}
	}
	return answer(w, page)
}

func (p *ChannelPage) last() string {
	if len(p.Channels) == 0 {
		return ""
	}
	c := &p.Channels[len(p.Channels)-1]
	return c.Hub + ":" + c.Name
}

// Entry is an event of a channel's history.
type Entry struct {
	Position string          `json:"position"`
	At       time.Time       `json:"at"` // when it came
	Op       string          `json:"op"`
	ID       string          `json:"id,omitempty"`
	Type     string          `json:"type,omitempty"`
	User     string          `json:"user,omitempty"`
	Text     string          `json:"text,omitempty"`
	Payload  json.RawMessage `json:"payload,omitempty"`
	// Gone: the message was taken back, and what it said is no longer kept.
	Gone bool `json:"gone,omitempty"`
}

// History is a part of a channel's history, oldest first.
type History struct {
	Hub     string  `json:"hub"`
	Channel string  `json:"channel"`
	Entries []Entry `json:"entries"`
	// Trimmed tells that older events than the first entry are no longer kept.
	Trimmed bool `json:"trimmed"`
	// Next is the parameter `after` of the next part; empty if this is the last.
	Next string `json:"next,omitempty"`
}

// historyBytes bounds what a part of a history has of events.
const historyBytes = 1 << 20

// channelOf reads which channel of which hub a request is about.
func (a *API) channelOf(r *http.Request) (Hub, string, error) {
	h, err := a.one(r)
	if err != nil {
		return h, "", err
	}
	channel := h.Names.Canonical(r.URL.Query().Get("channel"))
	if err := event.CheckChannel(channel); err != nil {
		return h, "", wrong(http.StatusBadRequest, "channel=NAME: %v", err)
	}
	return h, channel, nil
}

// history answers with a History.
func (a *API) history(w http.ResponseWriter, r *http.Request) error {
	if err := only(r, "hub", "channel", "after", "limit"); err != nil {
		return err
	}
	limit, err := limitOf(r, usualPage)
	if err != nil {
		return err
	}
	h, channel, err := a.channelOf(r)
	if err != nil {
		return err
	}
	head := h.Head()
	var after uint64
	if text := r.URL.Query().Get("after"); text != "" {
		cursor, err := event.ParseCursor(text)
		if err != nil || cursor.Epoch != head.Epoch {
			return wrong(http.StatusBadRequest, "after is the position of an entry, or what `next` of the part before says")
		}
		after = cursor.Seq
	}
	entries, more, err := h.Log().Read([]string{channel}, after, head.Seq, limit, historyBytes)
	if err != nil {
		return err
	}
	trimmed, err := h.Log().Trimmed(channel)
	if err != nil {
		return err
	}
	out := History{Hub: h.Name(), Channel: channel, Entries: []Entry{}, Trimmed: trimmed > after}
	for i := range entries {
		out.Entries = append(out.Entries, entryView(&entries[i], head.Epoch))
	}
	if more && len(out.Entries) > 0 {
		out.Next = out.Entries[len(out.Entries)-1].Position
	}
	return answer(w, out)
}

func entryView(e *event.Entry, epoch event.Epoch) Entry {
	v := Entry{
		Position: event.Cursor{Epoch: epoch, Seq: e.Seq, Tag: e.Tag}.String(), At: time.UnixMilli(e.At), Op: e.Op.String(),
		ID: e.ID.Text, Type: e.Type, User: e.User.Text, Text: e.Body, Gone: e.Shape == event.Gone,
	}
	if json.Valid(e.Payload) {
		v.Payload = json.RawMessage(e.Payload)
	}
	return v
}

// Forgotten is what became of a DELETE of a history.
type Forgotten struct {
	Hub     string `json:"hub"`
	Channel string `json:"channel"`
	// Message is the id of the message that was taken back; empty if it was all that
	// the channel had.
	Message string `json:"message,omitempty"`
	// Position is that of the deletion, which clients were told.
	Position string `json:"position,omitempty"`
}

// forget takes back one message, which `id` names, or all that the history has of a
// channel.
func (a *API) forget(w http.ResponseWriter, r *http.Request) error {
	if err := only(r, "hub", "channel", "id", "all"); err != nil {
		return err
	}
	h, channel, err := a.channelOf(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	out := Forgotten{Hub: h.Name(), Channel: channel, Message: q.Get("id")}
	switch {
	case out.Message == "" && !q.Has("all"):
		return wrong(http.StatusBadRequest, "say what to delete: id=MESSAGE, or all")
	case out.Message == "":
		if err := h.Clear(r.Context(), channel); err != nil {
			return err
		}
		return answer(w, out)
	}
	deletion := event.Event{Channel: event.String(channel), ID: event.String(out.Message), Op: event.Delete}
	receipts, err := h.Publish(r.Context(), event.Batch{Events: []event.Event{deletion}})
	if err != nil {
		return err
	}
	out.Position = receipts[0].Position.String()
	return answer(w, out)
}
