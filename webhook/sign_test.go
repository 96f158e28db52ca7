package webhook

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// What is signed with a configuration is what that configuration takes, whatever the
// scheme; and not what another secret takes.
func TestSignedIsTaken(t *testing.T) {
	const secret = "5e1f8c2d9b7a4630a1c2e3f405162738"
	key := "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	for name, test := range map[string]struct {
		verify *Verify
		secret string
		header http.Header
	}{
		"none":             {verify: &Verify{Scheme: "none"}},
		"standardwebhooks": {verify: &Verify{Scheme: "standardwebhooks"}, secret: key},
		"stripe":           {verify: &Verify{Scheme: "stripe"}, secret: secret},
		"slack":            {verify: &Verify{Scheme: "slack"}, secret: secret},
		"github":           {verify: &Verify{Scheme: "github"}, secret: secret},
		"discourse":        {verify: &Verify{Scheme: "discourse"}, secret: secret},
		"hmac base64":      {verify: &Verify{Scheme: "hmac", Header: "X-Sign", Encoding: "base64", Algorithm: "sha512", Prefix: "v1 "}, secret: secret},
		"hmac timestamp":   {verify: &Verify{Scheme: "hmac", Header: "X-Sign", Signed: "{header.X-At}:{body}", Timestamp: "{header.X-At}"}, secret: secret},
		"token":            {verify: &Verify{Scheme: "token"}, secret: secret},
		"token in header":  {verify: &Verify{Scheme: "token", Field: "{header.X-Token}"}, secret: secret},
		"token in query":   {verify: &Verify{Scheme: "token", Field: "{query.token}"}, secret: secret},
		"bearer":           {verify: &Verify{Scheme: "bearer"}, secret: secret},
		"path":             {verify: &Verify{Scheme: "path"}, secret: secret},
	} {
		t.Run(name, func(t *testing.T) {
			of := func(secret string) *Hook {
				cfg := Config{Verify: test.verify, Config: decode.Config{Map: []decode.MapRule{{Field: "channel", Value: "{json.c}"}, {Field: "id", Value: "{json.id}"}}}}
				if secret != "" {
					cfg.Secrets = []string{secret}
				}
				h, err := New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				return h
			}
			d := Delivered{Header: http.Header{"Content-Type": {"application/json"}}, Query: url.Values{}, Path: map[string]string{}, Body: []byte(`{"c":"1","id":7}`)}
			h := of(test.secret)
			if err := h.Sign(&d); err != nil {
				t.Fatal(err)
			}
			in := decode.Input{Header: d.Header, Query: d.Query.Encode(), Path: d.Path, Body: d.Body}
			e := h.Explain(in)
			if e.Unverified != "" || len(e.Messages) != 1 || len(e.Messages[0].Events) != 1 || e.Messages[0].Events[0].ID.Text != "7" {
				t.Errorf("it is not taken: %+v", e)
			}
			if test.secret == "" {
				return
			}
			other := "0123456789abcdef" + test.secret[16:]
			if test.secret == key {
				other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
			}
			if e := of(other).Explain(in); e.Unverified == "" {
				t.Error("somebody with another secret takes it")
			}
		})
	}
}
