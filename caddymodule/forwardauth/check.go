package forwardauth

import "fmt"

// Check says what is wrong with a configuration. What follows checks one part
// of it each, so that whoever reads a file can say in which line a mistake is.
func Check(c Config) error {
	_, err := New(c, "", nil, nil)
	return err
}

// CheckURI checks what is requested about a channel.
func CheckURI(text string) error {
	_, err := readURI(new(vocabulary).questions(), text)
	return err
}

// CheckIdentity checks what is requested about who a client is.
func CheckIdentity(text string) error {
	_, err := readURI(new(vocabulary).identities(), text)
	return err
}

// CheckValue checks the value of a header or a form.
func CheckValue(text string) error {
	_, err := new(vocabulary).questions().Template(text)
	return err
}

// CheckCondition checks a condition of allow or deny.
func CheckCondition(text string) error {
	_, err := new(vocabulary).answers().Condition(text)
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

// CheckFinding checks a place in the answer, written as a path or as a value.
func CheckFinding(text, path string) error {
	_, err := readFinding(new(vocabulary), text, path)
	return err
}

// Check checks a condition that is taken apart.
func (c *Condition) Check() error {
	_, err := c.read(new(vocabulary), "")
	return err
}
