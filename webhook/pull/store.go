package pull

import (
	"context"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// publishTimeout bounds one commit.
const publishTimeout = 10 * time.Second

func (s *Source) markName(channel string) string { return "pull/" + s.plan.Name + "/" + channel }

// stored is the mark that the log has of a channel, as far as it is known here.
func (s *Source) stored(channel string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.channels[channel]; c != nil {
		return c.stored
	}
	return ""
}

// publish stores events of a channel, and how far it was read.
func (s *Source) publish(ctx context.Context, channel string, events []event.Event, m string) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	receipts, err := s.options.Publisher.Publish(ctx, event.Batch{
		Events: events, Mark: &event.Mark{Source: s.markName(channel), Value: m},
	})
	if err != nil {
		return err
	}
	for i := range receipts {
		switch {
		case receipts[i].Duplicate:
			s.counts.duplicates.Add(1)
		case events[i].Op != event.Gap:
			s.counts.published.Add(1)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.channels[channel]; c != nil {
		c.stored = m
	}
	return nil
}

// verifyEvery is how often the newest messages are looked at where a poke said that
// something is new and the app says that nothing is.
const verifyEvery = time.Minute

// mayVerify tells whether it is time for that.
func (s *Source) mayVerify(channel string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	if c == nil || time.Since(c.verified) < verifyEvery {
		return false
	}
	c.verified = time.Now()
	return true
}
