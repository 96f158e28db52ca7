package load

// Tally is a set of message numbers in sixteen bytes: how many there are and a
// sum of what they hash to. Two tallies are equal if both sides saw the same
// messages, each once, in whatever order; the odds of an accident are those of
// a 64-bit hash.
type Tally struct {
	Count uint64
	sum   uint64
}

// Add takes a message number in.
func (t *Tally) Add(number uint64) {
	t.Count++
	t.sum += mix(number)
}

// Merge takes in all of another tally.
func (t *Tally) Merge(o Tally) {
	t.Count += o.Count
	t.sum += o.sum
}

// Compare tells how many messages of want are missing in got, and how many
// there are too many. When the counts agree and the messages do not, it is at
// least one of each.
func Compare(want, got Tally) (lost, extra uint64) {
	switch {
	case got == want:
		return 0, 0
	case got.Count < want.Count:
		return want.Count - got.Count, 0
	case got.Count > want.Count:
		return 0, got.Count - want.Count
	}
	return 1, 1
}

// mix is the finaliser of splitmix64, which spreads consecutive numbers over
// all 64 bits.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
