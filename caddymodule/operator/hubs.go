package operator

import (
	"net/http"

	"github.com/seed-078801ba/sidestream/stream"
)

// Source is a way in.
type Source struct {
	Name string `json:"name"`
	// Connected: what is said there is heard. A webhook always is.
	Connected bool `json:"connected"`
	// Received are messages or requests, Stored what came of them, since the hub was
	// made; Unmapped could not be mapped, and Refused could not be taken at all.
	Received uint64 `json:"received"`
	Stored   uint64 `json:"stored"`
	Unmapped uint64 `json:"unmapped"`
	Refused  uint64 `json:"refused"`
	// LastError is what went wrong last, if something did since the hub was made.
	LastError string `json:"last_error,omitempty"`
}

// HubView is a hub, as HubsPath tells of it.
type HubView struct {
	Name    string   `json:"name"`
	Store   string   `json:"store"`
	Healthy bool     `json:"healthy"`
	Reasons []string `json:"reasons,omitempty"`
	// Head is the cursor of the newest event.
	Head string `json:"head"`
	// Events and Bytes are what the history keeps, FileBytes its file, and
	// StoredChannels how many channels have something in it.
	Events         uint64 `json:"events"`
	Bytes          int64  `json:"bytes"`
	FileBytes      int64  `json:"file_bytes,omitempty"`
	StoredChannels uint64 `json:"stored_channels"`
	// Channels are those in memory.
	Channels int `json:"channels"`
	// Streams are open ones, by format; Behind those whose client has not taken
	// everything.
	Streams  map[string]int `json:"streams"`
	Behind   int            `json:"behind"`
	Opened   uint64         `json:"opened"`
	Stored   uint64         `json:"stored"`
	Sent     uint64         `json:"sent_bytes"`
	Messages uint64         `json:"delivered"`
	Sources  []Source       `json:"sources"`
}

func (h *Hub) view() HubView {
	st := h.Stats()
	v := HubView{
		Name: h.Name(), Store: h.Store, Healthy: len(h.Unhealthy) == 0, Reasons: h.Unhealthy, Head: h.Head().String(),
		Events: st.Log.Events, Bytes: st.Log.Bytes, FileBytes: st.Log.FileSize, StoredChannels: st.Log.Channels, Channels: st.Channels,
		Streams: map[string]int{}, Behind: st.Behind, Stored: st.Events, Sent: st.Bytes, Sources: h.Sources,
	}
	if v.Sources == nil {
		v.Sources = []Source{}
	}
	for kind, n := range st.Open {
		if n > 0 {
			v.Streams[kind.Format] += n
		}
	}
	for _, n := range st.Opened {
		v.Opened += n
	}
	for _, n := range st.Delivered {
		v.Messages += n
	}
	return v
}

// Open is how many streams the hub has.
func (v *HubView) Open() (n int) {
	for _, streams := range v.Streams {
		n += streams
	}
	return n
}

// hubs answers with a JSON array of HubView.
func (a *API) hubs(w http.ResponseWriter, r *http.Request) error {
	if err := only(r, "hub"); err != nil {
		return err
	}
	hubs, err := a.chosen(r)
	if err != nil {
		return err
	}
	views := make([]HubView, len(hubs))
	for i := range hubs {
		views[i] = hubs[i].view()
	}
	return answer(w, views)
}

func (a *API) oneHub(w http.ResponseWriter, name string) error {
	hubs := a.Hubs()
	for i := range hubs {
		if hubs[i].Name() == name {
			return answer(w, hubs[i].view())
		}
	}
	return wrong(http.StatusNotFound, "there is no hub %q; there are: %s", name, namesOf(hubs))
}

// idOf names a stream among all hubs.
func idOf(hub string, id stream.StreamID) string { return hub + ":" + id.String() }
