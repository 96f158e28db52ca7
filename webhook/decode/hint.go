package decode

import (
	"fmt"
	"slices"
	"strings"
)

// place guesses whether a text without holes was meant as a place in the payload:
// json.room.id, $json.room.id or $.room.id. It returns what should be written.
func (v *Vocabulary) place(s string) (right string, ok bool) {
	name, dollar := strings.CutPrefix(s, "$")
	if path, root := strings.CutPrefix(name, "."); root && dollar && len(v.Documents) > 0 {
		name = v.Documents[0] + "." + path
	}
	source, _, isPath := strings.Cut(strings.Replace(name, ":", ".", 1), ".")
	if !isPath || !slices.Contains(v.Documents, source) && !slices.Contains(v.Groups, source) {
		return "", false
	}
	if _, err := v.ref(name); err != nil {
		return "", false
	}
	return "{" + name + "}", true
}

// literally returns an error for a text that looks like a place of the payload
// without its braces. It would be used as it is written.
func (v *Vocabulary) literally(s string) error {
	if right, ok := v.place(s); ok {
		return fmt.Errorf("%q would be taken as it stands; for that place of the payload, write %s", s, right)
	}
	return nil
}
