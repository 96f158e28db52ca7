package webhook

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// lines sets options as a Caddyfile's lexer would hand them over.
func lines(text string) (Config, error) {
	var cfg Config
	for line := range strings.SplitSeq(text, "\n") {
		args := mustWords(line)
		if len(args) == 0 {
			continue
		}
		if err := cfg.Option(args[0], args[1:]); err != nil {
			return cfg, err
		}
	}
	return cfg, nil
}

// mustWords cuts a line at spaces outside of quotes, as a Caddyfile does.
func mustWords(line string) []string {
	var words []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if line[0] == '"' {
			text, rest, ok := strings.Cut(line[1:], `"`)
			if !ok {
				panic(line)
			}
			words, line = append(words, text), rest
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		words, line = append(words, word), rest
	}
	return words
}

func TestOptions(t *testing.T) {
	got, err := lines(`
		verify hmac_sha512 header X-Sig prefix "sha512=" encoding base64 signed "{header.X-Ts}.{body}" timestamp {header.X-Ts} tolerance 2m
		secret one-long-one two-long-one {env.THREE}
		format json
		max_body 2MiB
		body_timeout 3s
		gzip
		each {json.events}
		max_batch 50
		map channel {item.room.id ?? item.room_id}
		map type TextMessage
		map body {item.text}
		map op edit when {item.edited} == true
		map op delete when {header.X-Event} == "message gone"
		map data {item}
		drop {item.kind} in typing presence
		drop {item.text} == "a b"
		revoke {item.user.id} {item.room.id} when {item.kind} == left
		on_unmapped reject
		ack 200 json
		allow_browser
		never_retries
	`)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Config: decode.Config{
			Format: decode.JSON, MaxBody: 2 << 20, Each: "{json.events}", MaxBatch: 50,
			Map: []decode.MapRule{
				{Field: "channel", Value: "{item.room.id ?? item.room_id}", When: ""},
				{Field: "type", Value: "TextMessage", When: ""},
				{Field: "body", Value: "{item.text}", When: ""},
				{Field: "op", Value: "edit", When: "{item.edited} == true"},
				{Field: "op", Value: "delete", When: `{header.X-Event} == "message gone"`},
				{Field: "data", Value: "{item}", When: ""},
			},
			Drop:   []string{"{item.kind} in typing presence", `{item.text} == "a b"`},
			Revoke: []decode.RevokeRule{{User: "{item.user.id}", Channel: "{item.room.id}", When: "{item.kind} == left"}},
		},
		Verify: &Verify{
			Scheme: "hmac", Algorithm: "sha512", Header: "X-Sig", Prefix: "sha512=", Encoding: "base64", Signed: "{header.X-Ts}.{body}",
			Timestamp: "{header.X-Ts}",
		},
		Secrets: []string{"one-long-one", "two-long-one", "{env.THREE}"}, BodyTimeout: decode.Duration(3 * time.Second), Gzip: true,
		OnUnmapped: "reject", Ack: &Ack{200, "application/json", "{}"}, Tolerance: decode.Duration(2 * time.Minute), AllowBrowser: true, NeverRetries: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	got.Secrets[2] = "three-long-one"
	if _, err := New(got); err != nil {
		t.Error(err)
	}
	got.Secrets[2] = "{env.THREE}"
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var back Config
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, want) {
		t.Errorf("through JSON, %s: %+v, %v", b, back, err)
	}
}

// The examples of the documentation.
func TestExamples(t *testing.T) {
	for _, text := range []string{
		"preset campfire\nsecret " + pathSecret,
		"preset mattermost\nsecret one-long-one two-long-one",
		"verify standardwebhooks " + signKey + "\neach {json.events}\nmap channel {item.room.id}\nmap id {item.id}\nmap user {item.user.id}\nmap time {item.sent_at}\nmap type TextMessage\nmap body {item.text}",
		"verify svix " + signKey + "\nmap channel {json.c}",
		"verify none\nmap to {json.user}\nmap body {json.text}",
		"preset cloudevents\nverify github\nsecret k-secret",
		"preset slack_legacy\nsecret t-secret",
		"preset mattermost path\nsecret " + pathSecret,
	} {
		cfg, err := lines(text)
		if err == nil {
			_, err = New(cfg)
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A mistake is told with what would be right, and never with a secret.
func TestMistakes(t *testing.T) {
	const short = "hush-hush"
	for text, hint := range map[string]string{
		"preset chat":                "the presets are actioncable, anycable, campfire",
		"preset":                     "expected one word",
		"preset slack\npreset zulip": "set twice",
		"presets slack":              "the options are preset",
		"secret":                     "write secret {env.HOOK_SECRET}",
		"verify":                     "expected one of standardwebhooks",
		"verify magic":               "the ways are standardwebhooks",
		"verify none\nverify none":   "set twice",
		"verify slack header X":      "belongs to hmac",
		"secret " + short + "\nverify hmac header": "nothing stands behind header",
		"format yaml":                "the formats are json",
		"max_body big":               "512KiB",
		"max_body 9999999999GiB":     "512KiB",
		"max_body 0B":                "512KiB",
		"body_timeout soon":          "10s",
		"tolerance -5m":              "5m",
		"gzip on":                    "stands alone",
		"each events":                "{json.events}",
		"each {item.x}":              "{json.events}",
		"max_batch none":             "no number",
		"map channel":                "as in map channel {json.room.id}",
		"map room {json.room}":       "map channel",
		"map chanel {json.room}":     "the fields are channel",
		"map id 5":                   "the id of every message",
		"map type Message":           "the types are TextMessage",
		"map op remove":              "create, edit and delete",
		"map time now":               "the time of every message",
		"map data hello":             "one place in the payload",
		"map data {json.a}{json.b}":  "one place in the payload",
		"map data {json.a|trim}":     "data must be JSON",
		"map channel user:7":         "cannot be a channel",
		"map channel {json.a} when":  "write {value}",
		"map channel {json.a|upper}": "the filters are",
		"map channel {room}":         "the names are",
		"drop":                       "write {value}",
		"drop {json.a} is 1":         "unknown comparison",
		"revoke":                     "expected a user",
		"revoke bob":                 "no user of the payload",
		"on_unmapped ignore":         "neither ack nor reject",
		"ack ok":                     "no status",
		"ack 500":                    "from 200 to 299",
		"ack 204 json {}":            "neither content type nor body",
		"ack 200 text":               `ack 200 json "{}"`,

		"secret $HOOK_SECRET\nverify bearer\nmap channel c":                      "{env.NAME}",
		"secret ${HOOK_SECRET}\nverify bearer\nmap channel c":                    "{env.NAME}",
		"secret env.HOOK_SECRET\nverify github\nmap channel c":                   "{env.NAME}",
		"secret " + short + "\nverify hmac header {header.X-Sig}\nmap channel c": "no name of a header",
		"secret " + short + "\nverify bearer query {query.key}\nmap channel c":   "no name of a parameter",
		"secret " + pathSecret + "\nverify path parameter {key}\nmap channel c":  "no name of a parameter",
		"map channel {json.a}":                                                            "write verify and one of",
		"preset campfire":                                                                 "write secret {env.HOOK_SECRET}, or verify none",
		"preset campfire\nsecret " + short:                                                "at least 32 characters",
		"preset campfire\nsecret " + pathSecret + "/":                                     "none of /",
		"preset mattermost\nsecret \"\"":                                                  "is its environment variable set",
		"preset mattermost\nsecret {env.X}":                                               "is its environment variable set",
		"preset mattermost\nverify none\nsecret x":                                        "contradict each other",
		"preset standardwebhooks\nsecret " + short:                                        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"preset standardwebhooks\nsecret whsec_aGk=":                                      "24 to 64 random ones",
		"preset standardwebhooks\nsecret whpk_aGk=":                                       "ed25519 has 32",
		"preset stripe\nsecret " + short:                                                  "map channel {json.room.id}",
		"preset flowdock":                                                                 "write verify and one of",
		"verify none\nmap id {json.id}":                                                   "map channel {json.room.id}",
		"secret " + short + "\nverify hmac\nmap channel c":                                "which header",
		"secret " + short + "\nverify hmac header X encoding base32\nmap channel c":       "hex, base64 and base64url",
		"secret " + short + "\nverify hmac header X algorithm md5\nmap channel c":         "sha256, sha384",
		"secret " + short + "\nverify hmac header X signed {header.T}\nmap channel c":     "leaves the body out",
		"secret " + short + "\nverify hmac header X signed {body}{json.a}\nmap channel c": "can be signed",
		"secret " + short + "\nverify hmac header X signed {body|trim}\nmap channel c":    "neither ?? nor filters",
		"secret " + short + "\nverify hmac header X timestamp {json.t}\nmap channel c":    "no place of the timestamp",
		"secret " + short + "\nverify token field token\nmap channel c":                   "no place in the payload",
	} {
		cfg, err := lines(text)
		if err == nil {
			_, err = New(cfg)
		}
		switch {
		case err == nil:
			t.Errorf("%q was taken", text)
		case !strings.Contains(err.Error(), hint):
			t.Errorf("%q: %q has no hint of %q", text, err, hint)
		case strings.Contains(err.Error(), short):
			t.Errorf("%q: %q tells the secret", text, err)
		}
	}
	for i, cfg := range []Config{
		{Config: decode.Config{Preset: "nope"}}, {Config: decode.Config{Format: "yaml"}}, {Config: decode.Config{MaxBatch: -1}},
		{Config: decode.Config{MaxBody: -1}}, {BodyTimeout: -1}, {OnUnmapped: "x"}, {Ack: &Ack{Status: 302}},
		{Ack: &Ack{Status: 200, Body: "x"}}, {Ack: &Ack{Status: 200, ContentType: "a\r\nb"}},
		{Config: decode.Config{Drop: []string{"x"}}}, {Config: decode.Config{Map: []decode.MapRule{{Field: "channel"}}}},
		{Config: decode.Config{Map: []decode.MapRule{{Field: "room", Value: "x"}}}}, {Config: decode.Config{Each: "x"}},
		{Config: decode.Config{Revoke: []decode.RevokeRule{{User: "{json.a}", Channel: "{"}}}},
		{Config: decode.Config{Revoke: []decode.RevokeRule{{User: "{json.a}", When: "x"}}}},
		{Verify: &Verify{Scheme: "magic"}, Secrets: []string{"x"}}, {Verify: &Verify{Scheme: "token"}, Secrets: []string{"x"}, Tolerance: -1},
	} {
		if cfg.Verify == nil {
			cfg.Verify = &Verify{Scheme: "none"}
		}
		if len(cfg.Map) == 0 {
			cfg.Map = []decode.MapRule{{Field: "channel", Value: "c"}}
		}
		if _, err := New(cfg); err == nil {
			t.Errorf("configuration %d was taken", i)
		}
	}
}
