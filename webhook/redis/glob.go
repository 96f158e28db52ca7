package redis

// Redis's patterns are its own: path.Match and the glob libraries treat slashes, sets
// that do not end and bytes that are no UTF-8 in other ways, and a source has to agree
// with Redis on each message that it is sent twice.

// globMatch tells whether Redis would deliver a message of a channel to a
// pattern: * ? [abc] [^a] [a-z] and backslash, byte by byte (redis/redis
// src/util.c stringmatchlen). path.Match has other rules. It backtracks to the last star only, so its time
// is bounded by the product of the lengths.
func globMatch(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		if p < len(pattern) {
			if pattern[p] == '*' {
				star, mark = p, i
				p++
				continue
			}
			if next, ok := globByte(pattern, p, s[i]); ok {
				p, i = next, i+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		mark++
		p, i = star+1, mark
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// globByte matches one byte with the element of the pattern at p, and says
// where the next element is.
func globByte(pattern string, p int, c byte) (next int, ok bool) {
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		return globSet(pattern, p+1, c)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	return p + 1, pattern[p] == c
}

// globSet matches a set whose first byte behind the bracket is at p. One that
// does not end lasts as long as the pattern.
func globSet(pattern string, p int, c byte) (next int, ok bool) {
	not := p < len(pattern) && pattern[p] == '^'
	if not {
		p++
	}
	for ; p < len(pattern) && pattern[p] != ']'; p++ {
		switch {
		case pattern[p] == '\\' && p+1 < len(pattern):
			p++
			ok = ok || pattern[p] == c
		case p+2 < len(pattern) && pattern[p+1] == '-':
			low, high := pattern[p], pattern[p+2]
			if low > high {
				low, high = high, low
			}
			p += 2
			ok = ok || low <= c && c <= high
		default:
			ok = ok || pattern[p] == c
		}
	}
	return min(p+1, len(pattern)), ok != not
}
