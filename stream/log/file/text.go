package file

import "crypto/sha256"

// maxStoredText is the length up to which names and keys are stored as they
// are, so that neighbours in the backend (ids that count up) are neighbours in
// the file and one page serves a whole batch.
const maxStoredText = 160

// appendText appends what stands for a text in a key of the file: itself, or
// its digest if it is long. The first byte tells which.
func appendText(dst []byte, text string) []byte {
	if len(text) <= maxStoredText {
		return append(append(dst, 0), text...)
	}
	sum := sha256.Sum256([]byte(text))
	return append(append(dst, 1), sum[:]...)
}
