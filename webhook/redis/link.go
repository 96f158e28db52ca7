package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/rueidis"

	"github.com/seed-078801ba/sidestream/stream/redisconn"
)

// link is what a session has of Redis: a client, and one connection that listens.
type link struct {
	*redisconn.Link
	ears rueidis.DedicatedClient // what listener made, if it was called
}

// connect makes a link. It ends early when ctx does.
func (s *Source) connect(ctx context.Context) (*link, error) {
	l, err := s.plan.address.Connect(ctx, tuning)
	if err != nil {
		return nil, err
	}
	return &link{Link: l}, nil
}

// close ends the link and waits for the client's goroutines.
func (l *link) close() {
	l.Cut()
	if l.ears != nil {
		l.ears.Close()
	}
	l.Close()
}

// listener is a connection for subscriptions. On a cluster, every server hears
// every PUBLISH; all nodes of ours listen at the first by name that answers, so
// that all hear the same order.
func (l *link) listener(ctx context.Context) (rueidis.DedicatedClient, error) {
	if l.Client.Mode() != rueidis.ClientModeCluster {
		l.ears, _ = l.Client.Dedicate()
		return l.ears, nil
	}
	nodes := l.Client.Nodes()
	names := make([]string, 0, len(nodes))
	for name := range nodes {
		names = append(names, name)
	}
	slices.Sort(names)
	err := errors.New("the cluster has no servers")
	for _, name := range names {
		c, _ := nodes[name].Dedicate()
		attempt, cancel := context.WithTimeout(ctx, connectTimeout/2)
		err = c.Do(attempt, c.B().Ping().Build()).Error()
		cancel()
		if err == nil {
			l.ears = c
			return c, nil
		}
		c.Close()
	}
	return nil, fmt.Errorf("listening at a server of the cluster: %w", err)
}
