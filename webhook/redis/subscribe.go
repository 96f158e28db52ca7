package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// subscribe asks for channels and patterns. Redis confirms later. The channels
// of one group are subscribed to at the same moment.
func (n *session) subscribe(ctx context.Context, groups [][]string, patterns []string) error {
	var names []string
	for i, group := range groups {
		names = append(names, group...)
		if len(names) == 0 || len(names) < namesAtOnce && i < len(groups)-1 {
			continue
		}
		if err := n.ears.Do(ctx, n.ears.B().Subscribe().Channel(names...).Build()).Error(); err != nil {
			return fmt.Errorf("subscribing: %w", err)
		}
		names = nil
	}
	for names := range slices.Chunk(patterns, namesAtOnce) {
		if err := n.ears.Do(ctx, n.ears.B().Psubscribe().Pattern(names...).Build()).Error(); err != nil {
			return fmt.Errorf("subscribing to patterns: %w", err)
		}
	}
	return nil
}

// demand notes channels of the hub to be listened to, and says what Redis calls
// each.
func (n *session) demand(channels map[string]struct{}) [][]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var groups [][]string
	for channel := range channels {
		n.channels[channel] = struct{}{}
		var names []string
		for _, template := range n.s.plan.Subscribe {
			name := strings.ReplaceAll(template, channelHole, channel)
			if name == n.s.plan.ProbeChannel {
				continue
			}
			if _, ok := n.names[name]; !ok {
				n.names[name] = demanded{channel, len(names) == 0}
				names = append(names, name)
			}
		}
		groups = append(groups, names)
	}
	return groups
}

// undemand forgets channels of the hub, and says what Redis calls them.
func (n *session) undemand(channels []string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var names []string
	for _, channel := range channels {
		delete(n.channels, channel)
		for _, template := range n.s.plan.Subscribe {
			name := strings.ReplaceAll(template, channelHole, channel)
			if n.names[name].channel == channel {
				delete(n.names, name)
				names = append(names, name)
			}
		}
	}
	return names
}

// follow subscribes and unsubscribes as streams want it.
func (n *session) follow(ctx context.Context) error {
	if !n.s.plan.OnDemand {
		return nil
	}
	wanted := n.s.wanted(time.Now())
	var gone []string
	for channel := range n.channels {
		if _, ok := wanted[channel]; !ok {
			gone = append(gone, channel)
		}
		delete(wanted, channel)
	}
	if names := n.undemand(gone); len(names) > 0 {
		for some := range slices.Chunk(names, namesAtOnce) {
			if err := n.ears.Do(ctx, n.ears.B().Unsubscribe().Channel(some...).Build()).Error(); err != nil {
				return fmt.Errorf("unsubscribing: %w", err)
			}
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	return n.subscribe(ctx, n.demand(wanted), nil)
}
