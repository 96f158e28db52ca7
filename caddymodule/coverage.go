package caddymodule

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
)

// CoveragePath is where Caddy's admin API tells which ways in have brought the messages
// of each hub.
const CoveragePath = "/sidestream/coverage"

// HubCoverage is which ways in have brought the messages of a hub.
type HubCoverage struct {
	Hub  string        `json:"hub"`
	Ways []WayCoverage `json:"ways"`
	// Untapped are requests that have passed to the app, that may have created
	// something, and that no tap is for: where what only other ways bring may come
	// from. The most frequent first.
	Untapped []UntappedRequests `json:"untapped,omitempty"`
}

// UntappedRequests are requests of one shape.
type UntappedRequests struct {
	// Shape is their method and path, in which * stands for what may be an id.
	Shape string `json:"shape"`
	Count uint64 `json:"count"`
}

// serveCoverage answers with a JSON array of HubCoverage.
func serveCoverage(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("use GET")}
	}
	all := []HubCoverage{}
	openHubs.Range(func(v, _ any) bool {
		hub := v.(*pooledHub)
		all = append(all, HubCoverage{Hub: hub.Name(), Ways: hub.origins.coverage(), Untapped: hub.untapped.list()})
		return true
	})
	slices.SortFunc(all, func(a, b HubCoverage) int { return strings.Compare(a.Hub, b.Hub) })
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(all)
}

// maxShapes bounds the shapes that are counted. Clients choose their paths.
const maxShapes = 256

// shapes counts requests by their shape. The zero value is ready. Safe for concurrent
// use.
type shapes struct {
	mu     sync.Mutex
	counts map[string]uint64
}

func (s *shapes) add(method, path string) {
	shape := method + " " + shapeOf(path)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[string]uint64{}
	}
	if _, known := s.counts[shape]; !known && len(s.counts) >= maxShapes {
		return
	}
	s.counts[shape]++
}

func (s *shapes) list() []UntappedRequests {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]UntappedRequests, 0, len(s.counts))
	for _, shape := range slices.Sorted(maps.Keys(s.counts)) {
		list = append(list, UntappedRequests{shape, s.counts[shape]})
	}
	slices.SortStableFunc(list, func(a, b UntappedRequests) int { return cmp.Compare(b.Count, a.Count) })
	return list[:min(len(list), 10)]
}

// shapeOf is a path without what may be an id, a name or a secret: of each segment,
// only a short word in small letters stays.
func shapeOf(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		word := len(segment) <= 16 && !strings.ContainsFunc(segment, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' && r != '.' && r != '-' })
		version := len(segment) == 2 && segment[0] == 'v' && segment[1] >= '0' && segment[1] <= '9'
		if !word && !version {
			segments[i] = "*"
		}
	}
	return strings.Join(segments[:min(len(segments), 12)], "/")
}
