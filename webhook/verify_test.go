package webhook

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

const (
	standardID   = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	standardBody = `{"test": 2432232314}`
	standardTime = 1614265330
	standardV1   = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	standardV1a  = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
	standardPub  = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="

	slackSecret = "8f742231b10e8888abcd99yyyzzz85a5"
	slackTime   = 1531420618
	slackBody   = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	slackV0     = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"

	githubSecret = "It's a Secret to Everybody"
	githubSHA256 = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
)

func standard(prefix string, signature ...string) []string {
	h := []string{prefix + "-id", standardID, prefix + "-timestamp", fmt.Sprint(standardTime)}
	for _, s := range signature {
		h = append(h, prefix+"-signature", s)
	}
	return h
}

// The published vectors of each scheme, and what is close to them.
func TestVerify(t *testing.T) {
	hmacHex := func(key, text string) string {
		m := hmac.New(sha256.New, []byte(key))
		m.Write([]byte(text))
		return hex.EncodeToString(m.Sum(nil))
	}
	other := "whsec_" + base64.StdEncoding.EncodeToString([]byte("another key of enough bytes"))
	form := "application/x-www-form-urlencoded"
	for _, c := range []struct {
		name    string
		verify  *Verify
		secrets []string
		now     int64
		body    string
		headers []string
		status  int
	}{
		{"standard v1", &Verify{Scheme: "standardwebhooks"}, []string{signKey}, standardTime, standardBody, standard("webhook", standardV1), 200},
		{"standard v1, svix names", &Verify{Scheme: "standardwebhooks"}, []string{signKey}, standardTime, standardBody, standard("svix", standardV1), 200},
		{"standard v1a", &Verify{Scheme: "standardwebhooks"}, []string{standardPub}, standardTime, standardBody, standard("webhook", standardV1a), 200},
		{"standard, rotation of the key", &Verify{Scheme: "standardwebhooks"}, []string{other, standardPub, signKey}, standardTime, standardBody, standard("webhook", standardV1), 200},
		{"standard, several signatures", &Verify{Scheme: "standardwebhooks"}, []string{signKey}, standardTime, standardBody, standard("webhook", "v1,AAAA v2,x "+standardV1), 200},
		{"standard, 17 signatures", &Verify{Scheme: "standardwebhooks"}, []string{signKey}, standardTime, standardBody, standard("webhook", strings.Repeat("v1,AAAA ", 16)+standardV1), 401},
		{"standard, two signature headers", &Verify{Scheme: "standardwebhooks"}, []string{signKey}, standardTime, standardBody, standard("webhook", standardV1, standardV1), 401},
		{"standard, v1 as v1a", &Verify{Scheme: "standardwebhooks"}, []string{signKey}, standardTime, standardBody, standard("webhook", "v1a,"+standardV1[3:]), 401},
		{"standard, public key as shared one", &Verify{Scheme: "standardwebhooks"}, []string{standardPub}, standardTime, standardBody, standard("webhook", standardV1), 401},
		{"standard, other key", &Verify{Scheme: "standardwebhooks"}, []string{other}, standardTime, standardBody, standard("webhook", standardV1), 401},
		{"standard, other body", &Verify{Scheme: "standardwebhooks"}, []string{signKey}, standardTime, standardBody + " ", standard("webhook", standardV1), 401},
		{"standard, 5 min late", &Verify{Scheme: "standardwebhooks"}, []string{signKey}, standardTime + 300, standardBody, standard("webhook", standardV1), 200},
		{"standard, 5 min and 1 s late", &Verify{Scheme: "standardwebhooks"}, []string{signKey}, standardTime + 301, standardBody, standard("webhook", standardV1), 401},
		{"standard, 5 min and 1 s early", &Verify{Scheme: "standardwebhooks"}, []string{signKey}, standardTime - 301, standardBody, standard("webhook", standardV1), 401},
		{"standard, no headers", &Verify{Scheme: "standardwebhooks"}, []string{signKey}, standardTime, standardBody, nil, 401},
		{"standard, no signature", &Verify{Scheme: "standardwebhooks"}, []string{signKey}, standardTime, standardBody, standard("webhook"), 401},
		{"standard, names mixed", &Verify{Scheme: "standardwebhooks"}, []string{signKey}, standardTime, standardBody,
			[]string{"webhook-id", standardID, "svix-timestamp", fmt.Sprint(standardTime), "webhook-signature", standardV1}, 401},
		{"slack", &Verify{Scheme: "slack"}, []string{slackSecret}, slackTime, slackBody,
			[]string{"Content-Type", form, "X-Slack-Request-Timestamp", fmt.Sprint(slackTime), "X-Slack-Signature", slackV0}, 200},
		{"slack, time moved", &Verify{Scheme: "slack"}, []string{slackSecret}, slackTime, slackBody,
			[]string{"Content-Type", form, "X-Slack-Request-Timestamp", fmt.Sprint(slackTime + 1), "X-Slack-Signature", slackV0}, 401},
		{"slack, stale", &Verify{Scheme: "slack"}, []string{slackSecret}, slackTime + 999, slackBody,
			[]string{"Content-Type", form, "X-Slack-Request-Timestamp", fmt.Sprint(slackTime), "X-Slack-Signature", slackV0}, 401},
		{"slack, no time", &Verify{Scheme: "slack"}, []string{slackSecret}, slackTime, slackBody, []string{"Content-Type", form, "X-Slack-Signature", slackV0}, 401},
		{"slack, no prefix", &Verify{Scheme: "slack"}, []string{slackSecret}, slackTime, slackBody,
			[]string{"Content-Type", form, "X-Slack-Request-Timestamp", fmt.Sprint(slackTime), "X-Slack-Signature", slackV0[3:]}, 401},
		{"stripe", &Verify{Scheme: "stripe"}, []string{"whsec_xyz"}, 1000, standardBody, []string{"Stripe-Signature", "t=1000,v1=00,v0=11,v1=" + hmacHex("whsec_xyz", "1000."+standardBody)}, 200},
		{"stripe, second secret", &Verify{Scheme: "stripe"}, []string{"a-secret", "whsec_xyz"}, 1000, standardBody, []string{"Stripe-Signature", "t=1000,v1=" + hmacHex("whsec_xyz", "1000."+standardBody)}, 200},
		{"stripe, two times", &Verify{Scheme: "stripe"}, []string{"whsec_xyz"}, 1000, standardBody, []string{"Stripe-Signature", "t=1000,t=1000,v1=" + hmacHex("whsec_xyz", "1000."+standardBody)}, 401},
		{"stripe, stale", &Verify{Scheme: "stripe"}, []string{"whsec_xyz"}, 5000, standardBody, []string{"Stripe-Signature", "t=1000,v1=" + hmacHex("whsec_xyz", "1000."+standardBody)}, 401},
		{"stripe, only v0", &Verify{Scheme: "stripe"}, []string{"whsec_xyz"}, 1000, standardBody, []string{"Stripe-Signature", "t=1000,v0=" + hmacHex("whsec_xyz", "1000."+standardBody)}, 401},
		{"discourse", &Verify{Scheme: "discourse"}, []string{"k-secret"}, 0, standardBody, []string{"X-Discourse-Event-Signature", "sha256=" + hmacHex("k-secret", standardBody)}, 200},
		{"discourse, other key", &Verify{Scheme: "discourse"}, []string{"l-secret"}, 0, standardBody, []string{"X-Discourse-Event-Signature", "sha256=" + hmacHex("k-secret", standardBody)}, 401},
		{"hmac with time", &Verify{Scheme: "hmac", Header: "X-Sig", Prefix: "s=", Signed: "{header.X-Ts}.{body}", Timestamp: "{header.X-Ts}"}, []string{"k-secret"}, 1000, standardBody,
			[]string{"X-Ts", "1000", "X-Sig", "s=" + hmacHex("k-secret", "1000."+standardBody)}, 200},
		{"hmac with Caddy's names", &Verify{Scheme: "hmac", Header: "X-Sig", Signed: "{http.request.header.X-Ts}.{body}", Timestamp: "{http.request.header.X-Ts}"}, []string{"k-secret"}, 1000, standardBody,
			[]string{"X-Ts", "1000", "X-Sig", hmacHex("k-secret", "1000."+standardBody)}, 200},
		{"hmac, a time twice", &Verify{Scheme: "hmac", Header: "X-Sig", Signed: "{header.X-Ts}.{body}"}, []string{"k-secret"}, 1000, standardBody,
			[]string{"X-Ts", "1000", "X-Ts", "1000", "X-Sig", hmacHex("k-secret", "1000."+standardBody)}, 401},
		{"bearer", &Verify{Scheme: "bearer"}, []string{"a-secret", "b-secret"}, 0, standardBody, []string{"Authorization", "bEARER b-secret"}, 200},
		{"bearer, wrong", &Verify{Scheme: "bearer"}, []string{"a-secret"}, 0, standardBody, []string{"Authorization", "Bearer aa-secret"}, 401},
		{"bearer, empty", &Verify{Scheme: "bearer"}, []string{"a-secret"}, 0, standardBody, []string{"Authorization", "Bearer "}, 401},
		{"bearer, basic", &Verify{Scheme: "bearer"}, []string{"a-secret"}, 0, standardBody, []string{"Authorization", "Basic a-secret"}, 401},
		{"bearer, twice", &Verify{Scheme: "bearer"}, []string{"a-secret"}, 0, standardBody, []string{"Authorization", "Bearer a-secret", "Authorization", "Bearer a-secret"}, 401},
		{"bearer, none", &Verify{Scheme: "bearer"}, []string{"a-secret"}, 0, standardBody, nil, 401},
		{"token elsewhere", &Verify{Scheme: "token", Field: "{header.X-Token}"}, []string{"a-secret"}, 0, standardBody, []string{"X-Token", "a-secret"}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := own("map channel c")
			cfg.Map = cfg.Map[:1] // neither id nor body
			cfg.Verify, cfg.Secrets = c.verify, c.secrets
			resp, out := serve(at(t, mustNew(t, cfg), c.now), post(c.body, c.headers...), nil, new(memory))
			if resp.StatusCode != c.status {
				t.Errorf("got %d (%s), want %d", resp.StatusCode, out.Reason, c.status)
			}
			if c.status != 200 {
				checkBare(t, resp)
			}
			for _, secret := range c.secrets {
				if out.Err != nil && len(secret) > 3 && strings.Contains(out.Err.Error(), secret) {
					t.Errorf("%v tells the secret", out.Err)
				}
			}
		})
	}
}

// GitHub's own example has a body that is no JSON.
func TestVerifyGitHubVector(t *testing.T) {
	h := mustNew(t, Config{Config: decode.Config{Preset: "github"}, Secrets: []string{"x-secret", githubSecret}})
	for body, status := range map[string]int{"Hello, World!": 400, "Hello, World?": 401} {
		if resp, _ := serve(h, post(body, "X-Hub-Signature-256", githubSHA256), nil, new(memory)); resp.StatusCode != status {
			t.Errorf("%q: got %d, want %d", body, resp.StatusCode, status)
		}
	}
}

func TestVerifyHMACSpellings(t *testing.T) {
	sum256 := hmac.New(sha256.New, []byte("k-secret"))
	sum512 := hmac.New(sha512.New, []byte("k-secret"))
	sum384 := hmac.New(sha512.New384, []byte("k-secret"))
	sum1 := hmac.New(sha1.New, []byte("k-secret"))
	for _, m := range []interface{ Write([]byte) (int, error) }{sum256, sum512, sum384, sum1} {
		_, _ = m.Write([]byte(goodBody))
	}
	for _, c := range []struct{ line, signature string }{
		{"verify hmac_sha256 header X-Sig", hex.EncodeToString(sum256.Sum(nil))},
		{"verify hmac header X-Sig encoding base64", base64.StdEncoding.EncodeToString(sum256.Sum(nil))},
		{"verify hmac_sha512 header X-Sig encoding base64url", base64.RawURLEncoding.EncodeToString(sum512.Sum(nil))},
		{"verify hmac header X-Sig algorithm sha384 encoding base64url", base64.URLEncoding.EncodeToString(sum384.Sum(nil))},
		{"verify hmac_sha1 header X-Sig prefix sha1=", "sha1=" + strings.ToUpper(hex.EncodeToString(sum1.Sum(nil)))},
	} {
		h := mustNew(t, own(c.line, "secret k-secret"))
		if resp, out := serve(h, post(goodBody, "X-Sig", c.signature), nil, new(memory)); resp.StatusCode != 200 {
			t.Errorf("%s: %d %s", c.line, resp.StatusCode, out.Reason)
		}
		if resp, _ := serve(h, post(goodBody+" ", "X-Sig", c.signature), nil, new(memory)); resp.StatusCode != 401 {
			t.Errorf("%s: another body got %d", c.line, resp.StatusCode)
		}
	}
}

// A signature that is written in another way than verify says is told apart from one
// that another key made: the cure is another.
func TestSignatureInAnotherSpelling(t *testing.T) {
	sum := hmac.New(sha256.New, []byte("k-secret"))
	sum.Write([]byte("{}"))
	right := base64.StdEncoding.EncodeToString(sum.Sum(nil))
	for given, want := range map[string]*Refusal{
		"v1=" + right:                            nil,
		right:                                    errSignatureForm,
		"v0=" + right:                            errSignatureForm,
		"v1=" + hex.EncodeToString(sum.Sum(nil)): errSignatureForm,
		"v1=" + right[:40]:                       errSignatureForm,
		"v1=" + base64.StdEncoding.EncodeToString(make([]byte, sha256.Size)): errWrongSignature,
	} {
		h, err := newHMACVerifier(&Verify{Header: "X-Sig", Prefix: "v1=", Encoding: "base64"}, []string{"k-secret"}, 0)
		if err != nil {
			t.Fatal(err)
		}
		s := decode.NewPayload(decode.Input{Header: http.Header{"X-Sig": {given}}, Body: []byte("{}")})
		err = h.verify(s, time.Now())
		s.Release()
		if want == nil && err != nil || want != nil && err != error(want) {
			t.Errorf("%s: %v, want %v", given, err, want)
		}
	}
}

// A key can be written in hex or base64, as Microsoft Teams shows it.
func TestKeysInAnEncoding(t *testing.T) {
	key := []byte("\x00\x01\xfe\xff0123456789ab")
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(goodBody))
	sum := mac.Sum(nil)
	for _, c := range []struct {
		key, secret string
	}{
		{"base64", base64.StdEncoding.EncodeToString(key)}, {"hex", hex.EncodeToString(key)}, {"hex", strings.ToUpper(hex.EncodeToString(key))},
		{"base64url", base64.RawURLEncoding.EncodeToString(key)},
	} {
		cfg := own("secret " + c.secret)
		cfg.Verify = nil
		if err := cfg.Option("verify", []string{"hmac", "header", "Authorization", "prefix", "HMAC ", "encoding", "base64", "key", c.key}); err != nil {
			t.Fatal(err)
		}
		h := mustNew(t, cfg)
		signature := "HMAC " + base64.StdEncoding.EncodeToString(sum)
		if resp, out := serve(h, post(goodBody, "Authorization", signature), nil, new(memory)); resp.StatusCode != 200 {
			t.Errorf("%s: %d %s", c.key, resp.StatusCode, out.Reason)
		}
		if resp, _ := serve(h, post(goodBody+" ", "Authorization", signature), nil, new(memory)); resp.StatusCode != 401 {
			t.Errorf("%s: another body got %d", c.key, resp.StatusCode)
		}
	}
	for _, c := range [][3]string{
		{"base64", "not base64!", "no base64"}, {"hex", "0g0123456789abcdef", "no hex"}, {"hex", "00112233", "4 bytes"}, {"base32", "0123456789", "text, hex, base64"},
	} {
		cfg := own("map channel c")
		cfg.Verify, cfg.Secrets = &Verify{Scheme: "hmac", Header: "X", Key: c[0]}, []string{c[1]}
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), c[2]) || strings.Contains(err.Error(), c[1]) {
			t.Errorf("key %s: %v", c[0], err)
		}
	}
}

// A word behind a scheme is one of its options or an error that lists them. Never
// does it become a secret, unless it can be nothing else.
func TestWordsBehindAScheme(t *testing.T) {
	for _, scheme := range append([]string{"hmac_sha512", "svix"}, schemes...) {
		for _, word := range []string{"sha256", "prefx", "header=X", "secret", "HEADER", "good-enough-secret", "{header.X-Token}", "tolerence"} {
			cfg := Config{}
			err := cfg.Option("verify", []string{scheme, word, "x"})
			if err == nil || len(cfg.Secrets) > 0 || !strings.Contains(err.Error(), "option") {
				t.Errorf("verify %s %s: %v, secrets %q", scheme, word, err, cfg.Secrets)
			}
			if err != nil && word == "good-enough-secret" && (strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), "secret {env.")) {
				t.Errorf("verify %s %s: %v", scheme, word, err)
			}
		}
		cfg := Config{}
		if err := cfg.Option("verify", []string{scheme, "{env.HOOK_SECRET}", "{file./run/secret}"}); scheme != "none" && (err != nil || len(cfg.Secrets) != 2) {
			t.Errorf("verify %s with placeholders: %v %q", scheme, err, cfg.Secrets)
		}
	}
	if err := new(Config).Option("verify", []string{"hmac", "header", "X", "header", "Y"}); err == nil {
		t.Error("an option twice was taken")
	}
}

// What can be guessed is no secret, whatever the scheme.
func TestGuessableSecrets(t *testing.T) {
	for _, scheme := range schemes {
		if scheme == "none" {
			continue
		}
		for _, secret := range []string{"", " ", "\t", "\u00a0\u00a0\u00a0\u00a0\u00a0", "x", "12", "abc", "secret", "1234567", "aaaaaaaaaaaa", "changeme", "Password", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "        ", "      x       ", "{env.X}", "{$X}"} {
			cfg := own("map channel c")
			cfg.Verify, cfg.Secrets = &Verify{Scheme: scheme, Header: "X-Sig"}, []string{"0123456789abcdef0123456789abcdef", secret}
			if scheme == "standardwebhooks" {
				cfg.Secrets[0] = signKey
			}
			_, err := New(cfg)
			if err == nil || !strings.Contains(err.Error(), "secret 2") || strings.Contains(err.Error(), "1234567") {
				t.Errorf("verify %s took the secret %q: %v", scheme, secret, err)
			}
			if err != nil && secret != "" && secret[0] != '{' && !strings.Contains(err.Error(), "openssl rand") {
				t.Errorf("verify %s: %v does not say how to make one", scheme, err)
			}
		}
	}
}

func TestMalformedTimestamps(t *testing.T) {
	h := at(t, mustNew(t, own("verify standardwebhooks "+signKey)), standardTime)
	for _, ts := range []string{"", "now", "+1614265330", "-1", "1614265330.0", " 1614265330", "0x60", "1614265330000", strings.Repeat("9", 100), "١"} {
		resp, out := serve(h, post(standardBody, "webhook-id", standardID, "webhook-timestamp", ts, "webhook-signature", standardV1), nil, new(memory))
		if resp.StatusCode != 401 {
			t.Errorf("%q: %d %s", ts, resp.StatusCode, out.Reason)
		}
	}
}

func TestMalformedDeliveryIDs(t *testing.T) {
	cfg := own("verify standardwebhooks " + signKey)
	h := at(t, mustNew(t, cfg), standardTime)
	for _, id := range []string{"", "a.b", "a\x01b", "a\tb", strings.Repeat("x", 257), "a\xff"} {
		m := hmac.New(sha256.New, mustDecode(signKey[6:]))
		fmt.Fprintf(m, "%s.%d.%s", id, standardTime, goodBody)
		signature := "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil))
		r := post(goodBody, "webhook-timestamp", fmt.Sprint(standardTime), "webhook-signature", signature)
		r.Header["Webhook-Id"] = []string{id}
		if resp, out := serve(h, r, nil, new(memory)); resp.StatusCode != 401 {
			t.Errorf("%q: %d %s", id, resp.StatusCode, out.Reason)
		}
	}
}

func mustDecode(s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestPathSecret(t *testing.T) {
	second := strings.Repeat("bc", 20)
	h := mustNew(t, Config{Config: decode.Config{Preset: "campfire"}, Secrets: []string{pathSecret, second}})
	if name, ok := h.PathSecret(); name != "secret" || !ok {
		t.Errorf("PathSecret is %q, %v", name, ok)
	}
	body := `{"room":{"id":1},"message":{"id":1,"body":{"plain":"x"}}}`
	for secret, status := range map[string]int{pathSecret: 204, second: 204, "": 404, "x": 404, pathSecret + "x": 404, strings.ToUpper(pathSecret): 404} {
		if resp, _ := serve(h, post(body), map[string]string{"secret": secret}, new(memory)); resp.StatusCode != status {
			t.Errorf("%q: got %d, want %d", secret, resp.StatusCode, status)
		}
	}
	// A link preview must not find out whether the secret is right.
	for _, secret := range []string{pathSecret, "x"} {
		if resp, _ := serve(h, httptest.NewRequest(http.MethodGet, "/", nil), map[string]string{"secret": secret}, new(memory)); resp.StatusCode != 405 {
			t.Errorf("GET got %d", resp.StatusCode)
		}
	}
}

// A repeated delivery looks like a success and stores nothing.
func TestReplay(t *testing.T) {
	cfg := own("map channel c", "map body {json.test}", "verify standardwebhooks "+signKey)
	cfg.Map = cfg.Map[:2] // no id
	h, pub := at(t, mustNew(t, cfg), standardTime), new(memory)
	for i := range 3 {
		_, out := serve(h, post(standardBody, standard("webhook", standardV1)...), nil, pub)
		if out.Status != 200 || out.Duplicates != min(i, 1) {
			t.Errorf("delivery %d: %+v", i, out)
		}
	}
	if len(pub.events) != 1 || pub.events[0].Delivery != standardID+"/0" {
		t.Errorf("stored %+v", pub.events)
	}
}

func FuzzVerify(f *testing.F) {
	hooks := []*Hook{}
	for _, v := range []struct{ line, secret string }{
		{"standardwebhooks", signKey}, {"stripe", "k-secret"}, {"slack", "k-secret"}, {"github", "k-secret"}, {"bearer", "a-key-of-ours"},
		{"hmac header X-Signature signed {header.Webhook-Timestamp}.{body}", "k-secret"},
	} {
		h, err := New(own("verify "+v.line, "secret "+v.secret, "map channel c"))
		if err != nil {
			f.Fatal(err)
		}
		hooks = append(hooks, at(f, h, standardTime))
	}
	f.Add(standardID, fmt.Sprint(standardTime), "v1,AAAA v1a,BBBB", []byte(standardBody))
	f.Add("", "t", "t=1614265330,v1=00,t=", []byte("{}"))
	f.Add("x", "1614265330", "v0=00", []byte("{}"))
	f.Fuzz(func(t *testing.T, id, ts, signature string, body []byte) {
		for _, h := range hooks {
			header := http.Header{}
			for _, name := range []string{"Webhook-Id", "Svix-Id"} {
				header.Set(name, id)
			}
			for _, name := range []string{"Webhook-Timestamp", "Svix-Timestamp", "X-Slack-Request-Timestamp"} {
				header.Set(name, ts)
			}
			for _, name := range []string{"Webhook-Signature", "Stripe-Signature", "X-Slack-Signature", "X-Hub-Signature-256", "X-Signature", "Authorization"} {
				header.Set(name, signature)
			}
			s := decode.NewPayload(decode.Input{Header: header, Body: body})
			if err := h.verifier.verify(s, h.now()); err == nil {
				t.Fatalf("%T took a made up signature", h.verifier)
			}
			s.Release()
		}
	})
}
