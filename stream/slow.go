package stream

// addSlow notes that a stream's connection did not take everything. It is
// written to again when the poller says so.
func (sh *shard) addSlow(s *Stream) {
	if s.behind != 0 || s.state == gone {
		return
	}
	s.lastTaken = now()
	sh.slow = append(sh.slow, s)
	s.behind = int32(len(sh.slow))
	sh.counters.behind.Add(1)
}

// removeSlow notes that the connection takes more.
func (sh *shard) removeSlow(s *Stream) {
	if s.behind == 0 {
		return
	}
	last := len(sh.slow) - 1
	i := s.behind - 1
	sh.slow[i] = sh.slow[last]
	sh.slow[i].behind = i + 1
	sh.slow[last] = nil
	sh.slow = sh.slow[:last]
	s.behind = 0
	sh.counters.behind.Add(-1)
}

// closeSlow ends the streams that are further behind than Config.Lag allows.
// Others are not held up by them, and they come back with their cursor.
func (sh *shard) closeSlow(t int64) {
	lag := sh.hub.config().Lag
	for i := len(sh.slow) - 1; i >= 0; i-- {
		if i >= len(sh.slow) {
			continue
		}
		s := sh.slow[i]
		if t-s.lastTaken > int64(lag.Time) || (s.live && sh.lag(s) > uint64(lag.Bytes)) {
			sh.conclude(s, SlowClient)
		}
	}
}

// lag is how many bytes a stream's channels have said since its cursor.
func (sh *shard) lag(s *Stream) (bytes uint64) {
	for i := range s.subs {
		w := s.subs[i].ch.recent()
		bytes += w.lag(s.cursor)
	}
	return bytes
}
