package decode

import (
	"fmt"
	"slices"
	"strings"
)

// place guesses whether a text without holes was meant as a place in the payload:
// json.room.id, $json.room.id, $.room.id or, as for jq, .room.id. It returns what should be written.
func (v *Vocabulary) place(s string) (right string, ok bool) {
	name, dollar := strings.CutPrefix(s, "$")
	if path, root := strings.CutPrefix(name, "."); root && (dollar || isKey(path)) && len(v.Documents) > 0 {
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

// isKey tells whether a text begins as a key does, and not as what follows a full stop.
func isKey(text string) bool {
	return text != "" && (text[0] == '_' || text[0]|0x20 >= 'a' && text[0]|0x20 <= 'z') && !strings.ContainsAny(text, " /")
}

// literally returns an error for a text that looks like a place of the payload
// without its braces. It would be used as it is written.
func (v *Vocabulary) literally(s string) error {
	if right, ok := v.place(s); ok {
		return fmt.Errorf("%q would be taken as it stands; for that place of the payload, write %s", s, right)
	}
	return nil
}
