package decode

// Error is why a payload is refused as a whole. The reason is a constant text
// of this package, so it is safe in logs and as a metric's label.
type Error struct {
	Kind   Kind
	Reason string
}

func (e *Error) Error() string { return e.Reason }

// Kind says what is wrong with a payload. A way in that answers its sender
// chooses the answer by it.
type Kind uint8

// The kinds of errors.
const (
	Malformed   Kind = iota // it is not what it says it is
	Unsupported             // it is written in a way that is not read
	TooLarge                // it holds too much
	Unfit                   // it can be read, but not taken apart into messages
)

func malformed(reason string) *Error   { return &Error{Malformed, reason} }
func unsupported(reason string) *Error { return &Error{Unsupported, reason} }
