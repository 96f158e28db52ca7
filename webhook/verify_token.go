package webhook

import (
	"fmt"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// tokenVerifier takes a token in the payload. It is found before the payload is
// taken apart, and kept out of what is stored and streamed.
type tokenVerifier struct {
	decoder *decode.Decoder
	tokens  digests
	field   *decode.Template
}

func newTokenVerifier(v *Verify, secrets []string, decoder *decode.Decoder) (*tokenVerifier, error) {
	field := v.Field
	if field == "" {
		field = "{json.token ?? form.token}"
	}
	t, err := decode.ParseProof(field)
	if err != nil {
		return nil, fmt.Errorf("verify token: %w", err)
	}
	if err := decoder.Cut(t); err != nil {
		return nil, fmt.Errorf("verify token: %w", err)
	}
	return &tokenVerifier{decoder: decoder, tokens: digestsOf(secrets), field: t}, nil
}

func (*tokenVerifier) needs() stage { return stageBody }

func (v *tokenVerifier) verify(s *decode.Payload, _ time.Time) error {
	token, err := v.decoder.Peek(s, v.field)
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
