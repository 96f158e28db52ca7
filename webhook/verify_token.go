package webhook

import (
	"fmt"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// tokenVerifier takes a token in the payload.
type tokenVerifier struct {
	tokens digests
	field  *decode.Template
}

func newTokenVerifier(v *Verify, secrets []string) (*tokenVerifier, error) {
	field := v.Field
	if field == "" {
		field = "{json.token ?? form.token}"
	}
	t, err := decode.ParseTemplate(field)
	if err != nil {
		return nil, fmt.Errorf("verify token: %w", err)
	}
	if !t.IsHole() || t.Uses("item") {
		return nil, fmt.Errorf("verify token: %q is no place in the payload; write for example field {json.token}", field)
	}
	return &tokenVerifier{tokens: digestsOf(secrets), field: t}, nil
}

func (*tokenVerifier) needs() stage { return stageDecoded }

func (v *tokenVerifier) verify(s *decode.Payload, _ time.Time) error {
	token, err := v.field.Value(s)
	switch {
	case err != nil:
		return err
	case !token.IsString() || token.String() == "":
		return errNoSecret
	case !v.tokens.match(token.String()):
		return errWrongSecret
	}
	return nil
}
