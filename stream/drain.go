package stream

import "time"

// drainer ends a shard's streams one after the other over a window of time, so
// that their clients do not all come back in the same moment.
type drainer struct {
	sh      *shard
	streams []*Stream
	from    int64
	window  int64
	next    int
}

func (sh *shard) drain(window time.Duration) {
	if sh.drainer != nil {
		return
	}
	d := &drainer{sh: sh, from: now(), window: int64(window)}
	for i := range sh.slots {
		if s := sh.slots[i].s; s != nil {
			d.streams = append(d.streams, s)
		}
	}
	sh.drainer = d
	d.step(d.from)
}

// step ends the streams whose time has come, and says when all are gone.
func (d *drainer) step(t int64) {
	n := len(d.streams)
	for d.next < n && (t-d.from)*int64(n) >= d.window*int64(d.next) {
		d.sh.end(d.streams[d.next], ShuttingDown)
		d.streams[d.next] = nil
		d.next++
	}
	if t-d.from > d.window+int64(lingerTime) {
		d.sh.cut(ShuttingDown) // those that take nothing any more
	}
	if d.next == n && d.sh.streams == 0 {
		select {
		case <-d.sh.drained:
		default:
			close(d.sh.drained)
		}
	}
}
