// Package suggest ends an error about an unknown word with the word that was
// probably meant.
package suggest

import "strings"

// Among is the end of an error about a name: the known name that was probably
// meant, or the list of them.
func Among(got string, known []string) string {
	// Of a short word, one letter is a lot.
	best, distance := "", min(3, len(got)/3+1)
	for _, name := range known {
		if d := editDistance([]rune(strings.ToLower(got)), []rune(name)); d < distance {
			best, distance = name, d
		}
	}
	if best != "" {
		return "; did you mean " + best + "?"
	}
	return "; known are " + strings.Join(known, ", ")
}

// editDistance counts the letters to insert, delete, replace or swap to make b
// of a.
func editDistance(a, b []rune) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
