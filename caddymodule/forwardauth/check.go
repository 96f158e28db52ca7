package forwardauth

import "fmt"

// What follows checks one part of a Config each, so that whoever reads a file
// can say in which line a mistake is.

// CheckURI checks what is requested about a channel.
func CheckURI(text string) error {
	_, err := parseURI(text, questionVariables)
	return err
}

// CheckIdentity checks what is requested about who a client is.
func CheckIdentity(text string) error {
	_, err := parseURI(text, secretVariables)
	return err
}

// CheckValue checks the value of a header or a form.
func CheckValue(text string) error {
	_, err := parseTemplate(text, questionVariables)
	return err
}

// CheckPath checks a path in the answer's JSON.
func CheckPath(text string) error {
	_, err := parsePath(text)
	return err
}

// How much of the past is shown.
const (
	ShownAll       = "all"
	ShownSinceJoin = "since_join"
	ShownNothing   = "none"
)

// CheckShown checks how much of the past is shown.
func CheckShown(text string) error {
	switch text {
	case ShownAll, ShownSinceJoin, ShownNothing:
		return nil
	}
	return fmt.Errorf("history shown is %s, %s or %s, not %q", ShownAll, ShownSinceJoin, ShownNothing, text)
}

// Check checks a condition.
func (c Condition) Check() error { return c.provision() }
