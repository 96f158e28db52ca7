package webhook

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// What is signed is taken by whoever verifies it, with each of the secrets; the
// signature of the specification's own example comes out.
func TestWhatIsSignedIsVerified(t *testing.T) {
	const secret, other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	s, err := NewStandardSigner([]string{secret, other})
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	at := time.Unix(1614265330, 0)
	body := []byte(`{"test": 2432232314}`)
	s.Sign(h, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body)
	first, _, _ := strings.Cut(h.Get("Webhook-Signature"), " ")
	if first != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Error(h)
	}
	for _, key := range []string{secret, other} {
		v, err := newStandardVerifier([]string{key}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.verify(&decode.Payload{In: &decode.Input{Header: h, Body: body}}, at); err != nil {
			t.Error(err)
		}
		if err := v.verify(&decode.Payload{In: &decode.Input{Header: h, Body: append(body, ' ')}}, at); err == nil {
			t.Error("another body is taken")
		}
	}
	if _, err := NewStandardSigner([]string{"whpk_" + strings.Repeat("A", 43) + "="}); err == nil {
		t.Error("a public key signs")
	}
}
