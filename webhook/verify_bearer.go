package webhook

import (
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// bearerVerifier takes a token in the Authorization header.
type bearerVerifier struct {
	tokens digests
	query  string // a parameter that may hold it instead
}

func (*bearerVerifier) needs() stage { return stageHead }

func (v *bearerVerifier) verify(s *decode.Payload, _ time.Time) error {
	token := ""
	switch values := s.In.Header["Authorization"]; {
	case len(values) > 1:
		return errWrongSecret
	case len(values) == 1:
		scheme, rest, _ := strings.Cut(values[0], " ")
		if !strings.EqualFold(scheme, "bearer") {
			return errNoSecret
		}
		token = strings.TrimSpace(rest)
	case v.query != "":
		found, _, err := s.Text("query", v.query)
		if err != nil {
			return errWrongSecret
		}
		token = found
	}
	switch {
	case token == "":
		return errNoSecret
	case !v.tokens.match(token):
		return errWrongSecret
	}
	return nil
}
