package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// sample is a delivery of an app, made after its source or its documents.
type sample struct {
	preset, what string
	body         string
	headers      []string
}

const formType = "application/x-www-form-urlencoded"

var samples = []sample{
	{"campfire", "a message", `{"user":{"id":3,"name":"Kevin"},"room":{"id":1,"name":"All","path":"/rooms/1/9-SECRETKEY/messages"},"message":{"id":7,"body":{"html":"<p>hi</p>","plain":"hi"},"path":"/rooms/1/@7"}}`, nil},
	{"campfire", "lines", `{"user":{"id":3},"room":{"id":1},"message":{"id":8,"body":{"plain":"a\nb"}}}`, nil},
	{"mattermost", "without a thread", `{"token":"SECRETTOKEN","channel_id":"c","timestamp":1795298934032,"user_id":"u","post_id":"p","text":""}`, nil},
	{"mattermost", "without a post", `{"token":"SECRETTOKEN","channel_id":"c"}`, nil},
	{"rocketchat", "a message", `{"token":"SECRETTOKEN","bot":false,"channel_id":"GENERAL","channel_name":"general","message_id":"m1","timestamp":"2024-05-01T10:00:00.123Z","user_id":"u","user_name":"ann","text":"hi","siteUrl":"http://x","tmid":"m0"}`, nil},
	{"rocketchat", "an edit", `{"token":"SECRETTOKEN","channel_id":"GENERAL","message_id":"m1","timestamp":"2024-05-01T10:00:00.123Z","user_id":"u","text":"ho","isEdited":true}`, nil},
	{"rocketchat", "a user joined", `{"token":"SECRETTOKEN","bot":false}`, nil},
	{"slack", "a message", `token=SECRETTOKEN&team_id=T&channel_id=C1&channel_name=a&timestamp=1355517523.000005&user_id=U1&user_name=ann&text=hi+there&trigger_word=hi`, []string{"Content-Type", formType}},
	{"slack_events", "a message", `{"token":"SECRETTOKEN","type":"event_callback","event_id":"Ev1","event_time":1355517523,"team_id":"T","event":{"type":"message","channel":"C1","user":"U1","text":"hi","ts":"1355517523.000005","event_ts":"1355517523.000005"}}`, nil},
	{"slack_events", "an answer in a thread", `{"type":"event_callback","event":{"type":"message","channel":"C1","user":"U1","text":"yes","ts":"1355517524.000001","thread_ts":"1355517523.000005"}}`, nil},
	{"slack_events", "an edit", `{"type":"event_callback","event_id":"Ev2","event":{"type":"message","subtype":"message_changed","channel":"C1","ts":"1355517530.000001","event_ts":"1355517530.000001","message":{"user":"U1","text":"ho","ts":"1355517523.000005"}}}`, nil},
	{"slack_events", "a deletion", `{"type":"event_callback","event":{"type":"message","subtype":"message_deleted","channel":"C1","ts":"1355517531.000001","event_ts":"1355517531.000001","deleted_ts":"1355517523.000005","previous_message":{"user":"U1"}}}`, nil},
	{"slack_events", "a leave", `{"type":"event_callback","event":{"type":"message","subtype":"channel_leave","channel":"C1","user":"U1","text":"<@U1> has left","ts":"1355517532.000001"}}`, nil},
	{"slack_events", "another event", `{"type":"event_callback","event":{"type":"reaction_added","user":"U1"}}`, nil},
	{"slack_events", "a subtype of no interest", `{"type":"event_callback","event":{"type":"message","subtype":"message_replied","channel":"C1","ts":"1.1"}}`, nil},
	{"slack_events", "the challenge", `{"token":"SECRETTOKEN","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}`, nil},
	{"zulip", "a message", `{"bot_email":"b","token":"SECRETTOKEN","trigger":"mention","message":{"id":42,"type":"stream","stream_id":5,"subject":"t","content":"@**bot** hi","sender_id":9,"sender_full_name":"Ann","timestamp":1714557600}}`, nil},
	{"zulip", "a private message", `{"token":"SECRETTOKEN","message":{"id":43,"type":"private","recipient_id":77,"display_recipient":[{"id":9,"email":"a@x"},{"id":10,"email":"b@x"}],"content":"hi","sender_id":9,"timestamp":1714557600}}`, nil},
	{"zulip", "a form", `token=SECRETTOKEN&channel_id=5&channel_name=a&timestamp=1714557600&user_id=9&user_name=Ann&text=hi`, []string{"Content-Type", formType}},
	{"discourse", "a message", `{"chat_message":{"message":{"id":11,"message":"hi","cooked":"<p>hi</p>","created_at":"2024-05-01T10:00:00Z","chat_channel_id":4,"user":{"id":2,"username":"ann"}},"channel":{"id":4}}}`, []string{"X-Discourse-Event", "chat_message_created", "X-Discourse-Event-Id", "100", "Content-Type", formType}},
	{"discourse", "an edit", `{"chat_message":{"message":{"id":11,"message":"ho","created_at":"2024-05-01T10:00:00Z","chat_channel_id":4,"user":{"id":2}}}}`, []string{"X-Discourse-Event", "chat_message_edited", "X-Discourse-Event-Id", "101"}},
	{"discourse", "a deletion", `{"chat_message":{"message":{"id":11,"message":"ho","chat_channel_id":4,"user":{"id":2}}}}`, []string{"X-Discourse-Event", "chat_message_trashed", "X-Discourse-Event-Id", "102"}},
	{"discourse", "a ping", `{"ping":"OK"}`, []string{"X-Discourse-Event", "ping"}},
	{"matrix", "an edit", `{"events":[{"content":{"body":"* ho","m.new_content":{"body":"ho"},"m.relates_to":{"rel_type":"m.replace","event_id":"$1"}},"event_id":"$2","origin_server_ts":1795299416154,"room_id":"!r:x","sender":"@a:x","type":"m.room.message"}]}`, nil},
	{"matrix", "a redaction", `{"events":[{"content":{"redacts":"$1"},"event_id":"$3","origin_server_ts":1795299416154,"room_id":"!r:x","sender":"@a:x","type":"m.room.redaction"}]}`, nil},
	{"matrix", "a thread", `{"events":[{"content":{"body":"yes","m.relates_to":{"rel_type":"m.thread","event_id":"$1"}},"event_id":"$4","origin_server_ts":1795299416154,"room_id":"!r:x","sender":"@a:x","type":"m.room.message"}]}`, nil},
	{"matrix", "a ban, a kick, a topic, a new name, a redacted message, a forged type", `{"events":[` +
		`{"type":"m.room.member","event_id":"$5","room_id":"!r:x","sender":"@a:x","state_key":"@b:x","content":{"membership":"ban"}},` +
		`{"type":"m.room.member","event_id":"$6","room_id":"!r:x","sender":"@a:x","state_key":"@c:x","content":{"membership":"leave"}},` +
		`{"type":"m.room.topic","event_id":"$7","room_id":"!r:x","sender":"@a:x","state_key":"","content":{"topic":"news"}},` +
		`{"type":"m.room.member","event_id":"$8","room_id":"!r:x","sender":"@d:x","state_key":"@d:x","content":{"membership":"join"},"unsigned":{"prev_content":{"membership":"join"}}},` +
		`{"type":"m.room.message","event_id":"$9","room_id":"!r:x","sender":"@d:x","content":{}},` +
		`{"type":"m.room.message","event_id":"$10","room_id":"!r:x","sender":"@d:x","state_key":"@e:x","content":{"body":"x","membership":"leave"}}]}`, nil},
	{"standardwebhooks", "a message", `{"type":"message.created","timestamp":"2024-05-01T10:00:00.5Z","data":{"channel":"lobby","id":5,"user":7,"body":"hi"}}`, []string{"Webhook-Id", "msg_1"}},
	{"standardwebhooks", "no id of its own", `{"type":"message.created","timestamp":"2024-05-01T10:00:00Z","data":{"channel":"lobby","body":"hi"}}`, []string{"Webhook-Id", "msg_1"}},
	{"cloudevents", "structured", `{"specversion":"1.0","id":"A","source":"/chat","type":"message","subject":"lobby","time":"2024-05-01T10:00:00Z","data":{"user":7,"body":"hi"}}`, []string{"Content-Type", "application/cloudevents+json; charset=utf-8"}},
	{"cloudevents", "binary", `{"user":7,"text":"hi"}`, []string{"Ce-Specversion", "1.0", "Ce-Id", "B", "Ce-Source", "/chat", "Ce-Type", "message", "Ce-Subject", "l%C3%B6bby%20%25", "Ce-Time", "2024-05-01T10:00:00Z"}},
	{"cloudevents", "batch", `[{"specversion":"1.0","id":"C","source":"/chat","type":"m","subject":"a"},{"specversion":"1.0","id":"C","source":"/other","type":"m","subject":"a"}]`, []string{"Content-Type", "application/cloudevents-batch+json"}},
	{"cloudevents", "without an id", `{"specversion":"1.0","source":"/chat","type":"message","subject":"lobby"}`, []string{"Content-Type", "application/cloudevents+json"}},
	{"github", "a comment", `{"action":"created","comment":{"body":"fixed"},"issue":{"title":"broken"},"repository":{"full_name":"a/b"},"sender":{"id":1,"login":"ann"}}`, []string{"X-GitHub-Event", "issue_comment", "X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"}},
	{"github", "a ping", `{"zen":"x","repository":{"full_name":"a/b"}}`, []string{"X-GitHub-Event", "ping"}},
	{"flowdock", "a message", `{"event":"message","content":"hi\nho","id":3,"flow":"acme/main","user":"9","sent":1329307314476,"uuid":null,"tags":[ ":user:16" ],"big":9007199254740993,"e":"\u00e4\/"}`, nil},
	{"flowdock", "private", `{"event":"message","content":"psst","id":4,"to":"7","user":"9","sent":1329307314476}`, nil},
	{"flowdock", "an edit", `{"event":"message-edit","content":{"message":3,"updated_content":"ha"},"id":5,"flow":"acme/main","user":"9"}`, nil},
	{"flowdock", "activity, nobody, a file, a comment", `[{"event":"activity.user","content":{"last_activity":1},"flow":"acme/main","user":"9"},` +
		`{"event":"message","content":"x","id":6,"flow":"acme/main","user":"0","external_user_name":"Guest"},` +
		`{"event":"file","content":{"file_name":"a.png"},"id":7,"flow":"acme/main","user":9},` +
		`{"event":"comment","content":{"title":"t","text":"c"},"id":8,"flow":"acme/main","user":"9"}]`, nil},
	{"campfire_classic", "a message", `{ "message": {"id":1,"room_id":2,"user_id":3,"type":"TextMessage","body":"hi","created_at":"2012/02/15 12:01:54 +0000","starred":false} }`, nil},
	{"campfire_classic", "bare", `{"id":2,"room_id":2,"user_id":3,"type":"KickMessage","body":null,"created_at":"2012/02/15 12:01:54 +0000"}`, nil},
	{"campfire_classic", "several", `{"messages":[{"id":3,"room_id":2,"user_id":null,"type":"TimestampMessage","created_at":"2012/02/15 12:05:00 +0000"},{"id":4,"room_id":2,"user_id":3,"body":"a\nb"}]}`, nil},
	{"anycable", "several", `[{"stream":"chat/1","data":"{\"id\":5,\"body\":\"hi\",\"user\":{\"id\":2}}"},{"stream":"chat/2","data":"<turbo-stream>"}]`, nil},
}

func presetConfig(name string) Config {
	cfg := Config{Config: decode.Config{Preset: name}, Verify: &Verify{Scheme: "none"}}
	if name == "stripe" {
		cfg.Map = []decode.MapRule{{Field: "channel", Value: "money"}}
	}
	return cfg
}

func TestPresets(t *testing.T) {
	var got bytes.Buffer
	for _, c := range samples {
		hook, pub := mustNew(t, presetConfig(c.preset)), new(memory)
		r := post(c.body, c.headers...)
		if hook.Subtree() {
			r = httptest.NewRequest(http.MethodPut, "/hook/transactions/1", strings.NewReader(c.body))
		}
		resp, out := serve(hook, r, nil, pub)
		body, _ := io.ReadAll(resp.Body)
		fmt.Fprintf(&got, "== %s: %s\n%d %s", c.preset, c.what, resp.StatusCode, body)
		fmt.Fprintf(&got, " dropped=%d unmapped=%d revoke=%v %s\n", out.Dropped, out.Unmapped, out.Revoke, out.Reason)
		for _, e := range pub.events {
			got.WriteString(eventText(&e))
			if strings.Contains(string(e.AppendBinary(nil)), "SECRET") {
				t.Errorf("%s: %s: a secret of the app is in the event", c.preset, c.what)
			}
		}
	}
	golden(t, "presets.golden", got.Bytes())
}

// Every preset has a sample, but for those of Redis, whose samples are captures.
func TestEveryPresetIsSampled(t *testing.T) {
	sampled := map[string]bool{"actioncable": true, "laravel": true, "socketio": true, "stripe": true}
	for _, c := range samples {
		sampled[c.preset] = true
	}
	for _, name := range decode.Presets() {
		if !sampled[name] {
			t.Errorf("%s has no sample", name)
		}
	}
}

// A preset with the secret in place verifies in its app's way.
func TestPresetsVerify(t *testing.T) {
	sign := func(key, text string) string {
		m := hmac.New(sha256.New, []byte(key))
		m.Write([]byte(text))
		return hex.EncodeToString(m.Sum(nil))
	}
	for _, c := range []struct {
		preset, body string
		headers      []string
		status       int
	}{
		{"mattermost", `{"token":"k-secret"}`, nil, 200},
		{"mattermost", `token=k-secret`, []string{"Content-Type", formType}, 200},
		{"mattermost", `{"token":"l"}`, nil, 401},
		{"rocketchat", `{"token":"k-secret"}`, nil, 200},
		{"rocketchat", `{}`, nil, 401},
		{"zulip", `{"token":"k-secret"}`, nil, 200},
		{"slack", `token=k-secret`, []string{"Content-Type", ""}, 200},
		{"slack", `token=k-secret&token=k-secret-secret`, []string{"Content-Type", ""}, 400},
		{"discourse", `{}`, []string{"X-Discourse-Event-Signature", "sha256=" + sign("k-secret", "{}")}, 200},
		{"discourse", `{}`, []string{"X-Discourse-Event-Signature", "sha256=" + sign("l", "{}")}, 401},
		{"github", `{}`, []string{"X-Hub-Signature-256", "sha256=" + sign("k-secret", "{}")}, 200},
		{"github", `{}`, nil, 401},
		{"slack_events", `{}`, []string{"X-Slack-Request-Timestamp", "1000", "X-Slack-Signature", "v0=" + sign("k-secret", "v0:1000:{}")}, 200},
		{"slack_events", `{"type":"url_verification","challenge":"x"}`, nil, 401},
		{"stripe", `{}`, []string{"Stripe-Signature", "t=1000,v1=" + sign("k-secret", "1000.{}")}, 200},
		{"anycable", `[]`, []string{"Authorization", "Bearer k-secret"}, 201},
		{"anycable", `[]`, nil, 401},
	} {
		cfg := presetConfig(c.preset)
		cfg.Verify, cfg.Secrets = nil, []string{"k-secret"}
		resp, out := serve(at(t, mustNew(t, cfg), 1000), post(c.body, c.headers...), nil, new(memory))
		if resp.StatusCode != c.status {
			t.Errorf("%s %s: got %d (%s), want %d", c.preset, c.body, resp.StatusCode, out.Reason, c.status)
		}
	}
}

// The rules of a configuration take the place of the preset's for a field.
func TestPresetWithOwnRules(t *testing.T) {
	cfg := presetConfig("mattermost")
	for _, line := range []string{"map channel {json.team_domain}/{json.channel_name}", "map data {json}", "drop {json.user_name} == bot"} {
		words := strings.Split(line, " ")
		if err := cfg.Option(words[0], words[1:]); err != nil {
			t.Fatal(err)
		}
	}
	pub := new(memory)
	_, out := serve(mustNew(t, cfg), post(`{ "team_domain":"acme","channel_name":"lobby", "post_id":"p","n":1.0 }`), nil, pub)
	if out.Events != 1 || pub.events[0].Channel.Text != "acme/lobby" || string(pub.events[0].Payload) != `{"team_domain":"acme","channel_name":"lobby","post_id":"p","n":1.0}` {
		t.Errorf("%+v %+v", out, pub.events)
	}
	if _, out = serve(mustNew(t, cfg), post(`{"user_name":"bot"}`), nil, pub); out.Dropped != 1 {
		t.Errorf("%+v", out)
	}
}

func TestMatrixNeighbours(t *testing.T) {
	h := mustNew(t, Config{Config: decode.Config{Preset: "matrix"}, Secrets: []string{"hs-token-1"}})
	for _, c := range []struct {
		method, target, token string
		status                int
		body                  string
	}{
		{"PUT", "/m/_matrix/app/v1/transactions/1", "hs-token-1", 200, "{}"},
		{"PUT", "/m/transactions/1?access_token=hs-token-1", "", 200, "{}"},
		{"PUT", "/m/transactions/1?access_token=no", "", 401, ""},
		{"PUT", "/m/transactions/1?access_token=hs-token-1&access_token=hs-token-1", "", 401, ""},
		{"PUT", "/m/transactions/1?access_token=hs-token-1", "no", 401, ""},
		{"PUT", "/m/transactions/1", "", 401, ""},
		{"PUT", "/m/transactions/", "hs-token-1", 404, ""},
		{"POST", "/m/transactions/1", "hs-token-1", 405, ""},
		{"GET", "/m/transactions/1", "hs-token-1", 405, ""},
		{"GET", "/m/_matrix/app/v1/users/@a:x", "hs-token-1", 404, "{}"},
		{"GET", "/m/_matrix/app/v1/rooms/%23a%2Fb:x", "hs-token-1", 404, "{}"},
		{"GET", "/m/rooms/%23a:x", "no", 401, ""},
		{"PUT", "/m/rooms/%23a:x", "hs-token-1", 405, ""},
		{"GET", "/m/_matrix/app/v1/thirdparty/protocol/irc", "hs-token-1", 404, "{}"},
		{"POST", "/m/_matrix/app/v1/ping", "hs-token-1", 200, "{}"},
		{"GET", "/m", "hs-token-1", 404, ""},
	} {
		r := httptest.NewRequest(c.method, c.target, strings.NewReader(`{"events":[]}`))
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		resp, _ := serve(h, r, nil, new(memory))
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != c.status || string(body) != c.body {
			t.Errorf("%s %s: got %d %q", c.method, c.target, resp.StatusCode, body)
		}
	}
}

func TestCloudEventsHandshake(t *testing.T) {
	h := mustNew(t, Config{Config: decode.Config{Preset: "cloudevents"}, Secrets: []string{"k-secret"}})
	r := httptest.NewRequest(http.MethodOptions, "/hook", nil)
	r.Header.Set("WebHook-Request-Origin", "eventemitter.example.com")
	r.Header.Set("WebHook-Request-Rate", "120")
	r.Header.Set("WebHook-Request-Callback", "http://127.0.0.1/")
	resp, _ := serve(h, r, nil, new(memory))
	if resp.StatusCode != 200 || resp.Header.Get("WebHook-Allowed-Origin") != "eventemitter.example.com" || resp.Header.Get("WebHook-Allowed-Rate") != "*" || resp.Header.Get("Allow") != "POST" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	checkBare(t, resp)
	r.Header.Set("WebHook-Request-Origin", "a b")
	if resp, _ = serve(h, r, nil, new(memory)); resp.StatusCode != 400 {
		t.Errorf("a malformed origin: %d", resp.StatusCode)
	}
	r.Header.Del("WebHook-Request-Origin")
	if resp, _ = serve(h, r, nil, new(memory)); resp.StatusCode != 405 || resp.Header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("an OPTIONS of a browser: %d %v", resp.StatusCode, resp.Header)
	}
	secret := Config{Config: decode.Config{Preset: "cloudevents"}, Verify: &Verify{Scheme: "path"}, Secrets: []string{pathSecret}}
	r.Header.Set("WebHook-Request-Origin", "a")
	if resp, _ = serve(mustNew(t, secret), r, nil, new(memory)); resp.StatusCode != 404 {
		t.Errorf("without the secret of the path: %d", resp.StatusCode)
	}
}

func TestCloudEventsAttributes(t *testing.T) {
	h := mustNew(t, presetConfig("cloudevents"))
	for _, c := range []struct {
		subject string
		status  int
		channel string
	}{
		{"plain", 200, "plain"}, {"%C3%A4", 200, "ä"}, {"%c3%a4", 200, "ä"}, {`"a b"`, 200, "a b"}, {`"a\"b"`, 200, `a"b`}, {"a%2525", 200, "a%25"},
		{"%C0%AF", 400, ""}, {"%ED%A0%80", 400, ""}, {"%F", 400, ""}, {"%zz", 400, ""},
	} {
		pub := new(memory)
		resp, out := serve(h, post(`{}`, "Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/", "Ce-Type", "t", "Ce-Subject", c.subject), nil, pub)
		if resp.StatusCode != c.status || (c.channel != "" && (len(pub.events) != 1 || pub.events[0].Channel.Text != c.channel)) {
			t.Errorf("%s: %d %+v %+v", c.subject, resp.StatusCode, out, pub.events)
		}
	}
	for name, headers := range map[string][]string{
		"no specversion": {"Ce-Id", "1"}, "old": {"Ce-Specversion", "0.3", "Ce-Id", "1", "Ce-Source", "/", "Ce-Type", "t"},
		"an attribute named data": {"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/", "Ce-Type", "t", "Ce-Data", "x"},
		"an attribute twice":      {"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Id", "2", "Ce-Source", "/", "Ce-Type", "t"},
	} {
		if resp, _ := serve(h, post(`{}`, headers...), nil, new(memory)); resp.StatusCode != 400 {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
}
