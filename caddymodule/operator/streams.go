package operator

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream"
)

// StreamView is an open stream, as StreamsPath tells of it.
type StreamView struct {
	ID       string    `json:"id"` // with its hub
	Hub      string    `json:"hub"`
	Since    time.Time `json:"since"`
	Format   string    `json:"format"`
	Kind     string    `json:"kind"` // of its connection
	Channels []string  `json:"channels"`
	User     string    `json:"user,omitempty"`
	Address  string    `json:"address,omitempty"`
	// Behind: the client has not taken everything, for so many seconds, and so many
	// bytes of its channels wait for it.
	Behind        bool    `json:"behind"`
	BehindSeconds float64 `json:"behind_seconds,omitempty"`
	LagBytes      uint64  `json:"lag_bytes,omitempty"`
	Events        uint64  `json:"events"`
	Bytes         uint64  `json:"bytes"`
}

// StreamPage is a part of the list of streams.
type StreamPage struct {
	Streams []StreamView `json:"streams"`
	// Next is the parameter `after` of the next page; empty if this is the last.
	Next string `json:"next,omitempty"`
}

// Ended is what became of a DELETE of streams.
type Ended struct {
	// Matched are the streams that were ended; with `dry`, those that would be.
	Matched int  `json:"matched"`
	Dry     bool `json:"dry,omitempty"`
}

// usualPage is how many a page lists if nobody says it.
const usualPage = 100

// filters are the parameters that choose streams.
var filters = []string{"hub", "id", "channel", "user", "address", "format"}

// chooseStreams reads the parameters that choose streams. any tells whether there is
// one.
func chooseStreams(r *http.Request) (f stream.StreamFilter, any bool, err error) {
	q := r.URL.Query()
	f = stream.StreamFilter{Channel: q.Get("channel"), User: q.Get("user"), Format: q.Get("format")}
	if id := q.Get("id"); id != "" {
		hub, own, ok := strings.Cut(id, ":")
		if _, err := stream.ParseStreamID(own); !ok || err != nil {
			return f, true, wrong(http.StatusBadRequest, "id is that of a stream in the list of streams, as in default:0-12-1")
		}
		if other := q.Get("hub"); other != "" && other != hub {
			return f, true, wrong(http.StatusBadRequest, "the stream %s is not one of hub %s", id, other)
		}
		f.ID = own
	}
	if address := q.Get("address"); address != "" {
		prefix, err := netip.ParsePrefix(address)
		if err != nil {
			single, err := netip.ParseAddr(address)
			if err != nil {
				return f, true, wrong(http.StatusBadRequest, "address is an IP address or a network, as in 192.0.2.1 or 192.0.2.0/24")
			}
			single = single.Unmap()
			prefix = netip.PrefixFrom(single, single.BitLen())
		}
		f.Address = prefix.Masked()
	}
	for _, name := range filters {
		any = any || q.Get(name) != ""
	}
	return f, any, nil
}

// hubsOfStreams are the hubs in which streams are looked for.
func (a *API) hubsOfStreams(r *http.Request) ([]Hub, error) {
	hubs, err := a.chosen(r)
	if name, _, ok := strings.Cut(r.URL.Query().Get("id"), ":"); ok && err == nil {
		for i := range hubs {
			if hubs[i].Name() == name {
				return hubs[i : i+1], nil
			}
		}
		return nil, nil
	}
	return hubs, err
}

// streams answers with a StreamPage.
func (a *API) streams(w http.ResponseWriter, r *http.Request) error {
	if err := only(r, append(filters, "after", "limit")...); err != nil {
		return err
	}
	filter, _, err := chooseStreams(r)
	if err != nil {
		return err
	}
	limit, err := limitOf(r, usualPage)
	if err != nil {
		return err
	}
	hubs, err := a.hubsOfStreams(r)
	if err != nil {
		return err
	}
	var after stream.StreamID
	begin := ""
	if text := r.URL.Query().Get("after"); text != "" {
		hub, id, ok := strings.Cut(text, ":")
		if after, err = stream.ParseStreamID(id); err != nil || !ok {
			return wrong(http.StatusBadRequest, "after is what `next` of the page before says")
		}
		begin = hub
	}
	page := StreamPage{Streams: []StreamView{}}
	for i := range hubs {
		h := &hubs[i]
		if h.Name() < begin {
			continue
		}
		if h.Name() != begin {
			after = stream.StreamID{}
		}
		of := filter
		of.Channel = h.Names.Canonical(of.Channel)
		views, more, err := h.Streams(r.Context(), of, after, limit-len(page.Streams))
		if canceled(r, err) {
			return nil
		}
		if err != nil {
			return err
		}
		for j := range views {
			page.Streams = append(page.Streams, streamView(h.Name(), &views[j]))
		}
		if more {
			page.Next = nextAfter(h.Name(), &page, begin, after)
			break
		}
	}
	return answer(w, page)
}

// nextAfter is where the next page begins: behind the last stream of this one.
func nextAfter(hub string, page *StreamPage, begin string, after stream.StreamID) string {
	if n := len(page.Streams); n > 0 {
		return page.Streams[n-1].ID
	}
	return begin + ":" + after.String()
}

func streamView(hub string, v *stream.StreamView) StreamView {
	view := StreamView{
		ID: idOf(hub, v.ID), Hub: hub, Since: v.Opened.Round(time.Millisecond), Format: v.Format, Kind: string(v.Kind), Channels: v.Channels,
		User: v.Client.User, Behind: v.Behind, BehindSeconds: v.BehindFor.Seconds(), LagBytes: v.Lag, Events: v.Events, Bytes: v.Bytes,
	}
	if v.Client.Address.IsValid() {
		view.Address = v.Client.Address.String()
	}
	return view
}

// endStreams ends the streams that the parameters choose. Without any, it refuses: all
// of them are chosen with `all`.
func (a *API) endStreams(w http.ResponseWriter, r *http.Request) error {
	if err := only(r, append(filters, "dry", "all")...); err != nil {
		return err
	}
	filter, any, err := chooseStreams(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	if !any && !q.Has("all") {
		return wrong(http.StatusBadRequest, "say which streams: %s; or all", strings.Join(filters, ", "))
	}
	hubs, err := a.hubsOfStreams(r)
	if err != nil {
		return err
	}
	ended := Ended{Dry: q.Has("dry")}
	for i := range hubs {
		of := filter
		of.Channel = hubs[i].Names.Canonical(of.Channel)
		n, err := hubs[i].EndStreams(r.Context(), of, stream.Kicked, ended.Dry)
		ended.Matched += n
		if canceled(r, err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return answer(w, ended)
}
