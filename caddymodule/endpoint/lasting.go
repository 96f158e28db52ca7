package endpoint

import "sync"

// Lasting is what endpoints keep for as long as the hub lives, over reloads: their
// sessions. It is safe for concurrent use; the zero value is ready.
type Lasting struct{ kept sync.Map }

// Keep returns what is kept under a name, and has it made if nothing is.
func (l *Lasting) Keep(name string, make func() any) any {
	if kept, ok := l.kept.Load(name); ok {
		return kept
	}
	kept, _ := l.kept.LoadOrStore(name, make())
	return kept
}
