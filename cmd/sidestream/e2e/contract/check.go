package contract

// Check holds a history against the rules, and says where they are broken. An
// empty answer means that the history keeps them all.
func Check(h History) []Violation {
	var bad findings
	l := newLedger(&h, &bad)
	l.realTime()
	for i := range h.Sessions {
		newWalk(l, &h.Sessions[i], h.Retained).run()
	}
	for i := range h.Sessions {
		if h.Sessions[i].Audit {
			audit(l, &h, &h.Sessions[i])
		}
	}
	return bad.all()
}

// audit checks that everything that was acknowledged or seen is there in the
// end. What has another epoch is left out: that a client is told of that is
// checked elsewhere.
func audit(l *ledger, h *History, s *Session) {
	channels, found := map[string]bool{}, map[Event]bool{}
	epoch := ""
	for _, name := range s.Channels {
		channels[name] = true
	}
	if pos, err := parsePosition(s.Asked); err == nil {
		epoch = pos.epoch
	}
	for _, m := range s.Seen {
		if m.Kind == Message {
			found[m.Event] = true
		}
	}
	inEpoch := func(e Event) bool {
		if _, there := l.where[e][epoch]; there {
			return true
		}
		return len(l.where[e]) == 0 // nobody knows where: then it must be here
	}
	for e, p := range l.published {
		if p.acked && channels[e.Channel] && !found[e] && inEpoch(e) {
			l.bad.add(AckedIsKept, "%v was acknowledged after %v, and is gone", e, p.end)
		}
	}
	reported := map[Event]bool{}
	for i := range h.Sessions {
		for _, m := range h.Sessions[i].Seen {
			if m.Kind == Message && channels[m.Channel] && !found[m.Event] && !reported[m.Event] && inEpoch(m.Event) {
				reported[m.Event] = true
				l.bad.add(SeenIsKept, "%s saw %v after %v, and it is gone", h.Sessions[i].Client, m.Event, m.At)
			}
		}
	}
}
