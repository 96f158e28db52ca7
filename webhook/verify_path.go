package webhook

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// pathVerifier takes a secret as a segment of the path.
type pathVerifier struct {
	secrets   digests
	parameter string
}

// minPathSecret is the shortest secret in a path, in characters: a path shows up
// in more logs than a header does.
const minPathSecret = 32

func newPathVerifier(v *Verify, secrets []string, decoder *decode.Decoder) (*pathVerifier, error) {
	for i, secret := range secrets {
		if len(secret) < minPathSecret || strings.ContainsAny(secret, "/\\?#% ") {
			return nil, fmt.Errorf("secret %d is a part of the path, so it must have at least %d characters and none of / \\ ? # %% and space; make one with: openssl rand -hex 32", i+1, minPathSecret)
		}
	}
	parameter := v.Parameter
	if parameter == "" {
		parameter = "secret"
	}
	if !isName(parameter) {
		return nil, fmt.Errorf("verify path: %q is no name of a parameter; write it alone, as in parameter secret", parameter)
	}
	if err := hide(decoder, "path", parameter); err != nil {
		return nil, err
	}
	return &pathVerifier{secrets: digestsOf(secrets), parameter: parameter}, nil
}

func (*pathVerifier) needs() stage { return stageHead }

func (v *pathVerifier) verify(s *decode.Payload, _ time.Time) error {
	if !v.secrets.match(s.In.Path[v.parameter]) {
		return errPathSecret
	}
	return nil
}
