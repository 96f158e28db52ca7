package load

// sources is how many addresses the streams come from: one has 28,000 ports.
const sources = 8

// source is the address that the i-th stream comes from.
func source(i int) [4]byte { return [4]byte{127, 0, 0, byte(2 + i%sources)} }
