package decode

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
)

func mustDecoder(t testing.TB, cfg Config) *Decoder {
	t.Helper()
	d, err := NewDecoder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func decoded(t *testing.T, cfg Config, body string) Decoded {
	t.Helper()
	out, err := mustDecoder(t, cfg).Decode(Input{Body: []byte(body), Delivery: "d"})
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return out
}

// Numbers stay numbers and texts stay texts, to the last digit.
func TestScalars(t *testing.T) {
	out := decoded(t, own("map user {json.user}", "map thread {json.thread|trim}"), `{"room":9007199254740993,"id":"5","user":1.0,"thread":7,"text":12}`)
	want := event.Event{Channel: event.Number("9007199254740993"), ID: event.String("5"), User: event.Number("1.0"), Thread: event.String("7"), Body: "12"}
	if len(out.Events) != 1 || !reflect.DeepEqual(out.Events[0], want) {
		t.Errorf("got %+v", out.Events)
	}
}

func TestPrivate(t *testing.T) {
	cfg := own("map to {json.to}")
	for body, want := range map[string][]string{
		`{"id":1,"room":"r","to":7}`: {"user:7"}, `{"id":1,"to":["a","b"]}`: {"user:a", "user:b"}, `{"id":1,"room":"r"}`: {"r"}, `{"id":1,"room":"r","to":""}`: {"r"},
		`{"id":1,"room":"r","to":null}`: {"r"}, `{"id":1,"room":"r","to":{}}`: nil, `{"id":1,"room":"r","to":"` + strings.Repeat("x", 252) + `"}`: nil,
		`{"id":1,"to":"` + strings.Repeat("x", 251) + `"}`: {"user:" + strings.Repeat("x", 251)}, `{"id":1,"to":"user:7"}`: {"user:user:7"},
	} {
		var got []string
		for _, e := range decoded(t, cfg, body).Events {
			got = append(got, e.Channel.Text)
			if private := strings.HasPrefix(e.Channel.Text, "user:"); private == e.To.IsZero() {
				t.Errorf("%s: to %+v, channel %+v", body, e.To, e.Channel)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}

// What is passed on whole is compact and otherwise as it came.
func TestData(t *testing.T) {
	cfg := own("each {json.events}", "map channel {item.room}", "map id {item.id}", "map body {item.text}", "map data {item.m ?? item}")
	raw := `{"b":1,"\u0061\u0001":"\u2028\/é","room":"r","a":[ 1.50,1e400,{ } ,[]],"b":2,"id":1,"text":"\u0041"}`
	out := decoded(t, cfg, "{ \"events\" : [ "+raw+",\r\n{\"room\":\"r\",\"id\":2,\"m\":{\"x\":\"\\u00e4\"}} , {\"room\":\"r\",\"id\":3,\"m\":5} ] }")
	if len(out.Events) != 2 || out.Unmapped != 1 || out.Reason != "the data is no object" {
		t.Fatalf("got %+v", out)
	}
	for i, want := range []string{`{"b":1,"\u0061\u0001":"\u2028\/é","room":"r","a":[1.50,1e400,{},[]],"b":2,"id":1,"text":"\u0041"}`, `{"x":"\u00e4"}`} {
		if e := out.Events[i]; string(e.Payload) != want || e.Shape != event.Raw {
			t.Errorf("got %s, want %s", e.Payload, want)
		}
	}
	inner := decoded(t, own("map data {json.in|json:m}"), `{"room":1,"id":1,"in":"{\"m\": {\"a\":\"\\u00e4\" }}"}`)
	if len(inner.Events) != 1 || string(inner.Events[0].Payload) != `{"a":"\u00e4"}` {
		t.Errorf("got %+v", inner)
	}
}

func TestTypeAndOp(t *testing.T) {
	cfg := own("map type {json.type}", "map op {json.op}", "map version {json.v}")
	for body, want := range map[string]string{
		`"text":"a"`: "/create", `"text":"a\nb"`: "PasteMessage/create", `"text":"a\rb"`: "PasteMessage/create", `"text":"a\nb","type":"TextMessage"`: "TextMessage/create",
		`"type":"EnterMessage"`: "EnterMessage/create", `"type":"bad type"`: "/create", `"type":{}`: "/create", `"op":"edit"`: "/edit", `"op":"delete"`: "/delete",
		`"op":"gap"`: "an unknown op", `"op":"x"`: "an unknown op", `"op":{}`: "an unknown op", `"v":{}`: "the version is no id",
	} {
		out := decoded(t, cfg, `{"room":1,"id":1,`+body+`}`)
		got := out.Reason
		if len(out.Events) == 1 {
			got = out.Events[0].Type + "/" + out.Events[0].Op.String()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}

// Many apps send a revision with every message. That of a new one must not hide the
// message from the edits and deletions that come later, nor from since_message_id.
func TestVersionOfNewMessageIsLeftOut(t *testing.T) {
	for _, version := range []string{"{json.rev}", "hash"} {
		told := own("map op edit when {json.what} == changed", "map op delete when {json.what} == gone", "map version "+version)
		seen := map[string]bool{}
		for _, what := range []string{"said", "changed", "gone"} {
			e := decoded(t, told, `{"room":1,"id":1,"text":"a","rev":3,"what":"`+what+`"}`).Events[0]
			if isNew := e.Key() == event.CreateKey("1", "1"); isNew != (what == "said") {
				t.Errorf("%s, version %s: the key is %q", what, version, e.Key())
			}
			if (e.Version == "") != (what == "said") || seen[e.Key()] {
				t.Errorf("%s, version %s: got %+v", what, version, e)
			}
			seen[e.Key()] = true
		}
		// Without a rule for op, the version is all that tells two messages apart.
		untold := own("map version " + version)
		if e := decoded(t, untold, `{"room":1,"id":1,"text":"a","rev":3}`).Events[0]; e.Version == "" {
			t.Errorf("version %s without op: got %+v", version, e)
		}
	}
}

// The digest of a message is the same for the same message only.
func TestHash(t *testing.T) {
	cfg := own("map id hash", "map user {json.user}", "map time {json.t}")
	ids := map[string]string{}
	for _, body := range []string{
		`{"room":1,"text":"a"}`, `{"room":2,"text":"a"}`, `{"room":1,"text":"b"}`, `{"room":1,"text":"a","user":1}`, `{"room":1,"text":"a","t":1795298934}`,
		`{"room":1,"text":"","user":"a"}`,
	} {
		out := decoded(t, cfg, body)
		again := decoded(t, cfg, body+" ")
		id := out.Events[0].ID.Text
		if id != again.Events[0].ID.Text || len(id) != 32 || out.Events[0].Delivery != "" {
			t.Errorf("%s: %q, then %q", body, id, again.Events[0].ID.Text)
		}
		if other, ok := ids[id]; ok {
			t.Errorf("%s and %s have one id", body, other)
		}
		ids[id] = body
	}
}

func TestDelivery(t *testing.T) {
	cfg := own("each {json.e}", "map channel {item.c}", "map id {item.id}", "map body {item.t}")
	out := decoded(t, cfg, `{"e":[{"c":1,"t":"a"},{"c":1,"id":5},{"c":1,"t":"b"},{"c":["x","y"],"t":"c"}]}`)
	var got []string
	for _, e := range out.Events {
		got = append(got, e.ID.Text+"|"+e.Delivery)
	}
	if want := "[|d/0 5| |d/2 |d/3 |d/3]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestRevocations(t *testing.T) {
	cfg := own("revoke {json.user} {json.room} when {json.kind} == left", "revoke {json.user} when {json.kind} == gone", "drop {json.kind} == gone")
	for body, want := range map[string]string{
		`{"room":1,"id":1,"user":7,"kind":"left"}`: "[{7 1}]", `{"id":1,"user":"a","kind":"gone"}`: "[{a }]", `{"room":1,"id":1,"user":7}`: "[]",
		`{"id":1,"user":7,"kind":"left"}`: "[]", `{"room":1,"id":1,"user":{},"kind":"gone"}`: "[]", `{"room":{},"id":1,"user":7,"kind":"left"}`: "[]",
	} {
		if out := decoded(t, cfg, body); fmt.Sprint(out.Revoke) != want {
			t.Errorf("%s: got %v, want %s", body, out.Revoke, want)
		}
	}
}

func TestEach(t *testing.T) {
	cfg := own("each {json.e ?? form.payload|json}", "map channel {item.c}", "map id {item.id}")
	for body, want := range map[string]int{
		`{"e":[{"c":1,"id":1},{"c":1,"id":2}]}`: 2, `{"e":{"c":1,"id":1}}`: 1, `{"e":"[{\"c\":1,\"id\":1}]"}`: -1, `{"e":[]}`: 0, `{"e":5}`: -1, `{}`: -1,
		`{"e":[1,"x",null,[]]}`: -4,
	} {
		out := decoded(t, own("each {json.e}", "map channel {item.c}", "map id {item.id}"), body)
		if got := len(out.Events) - out.Unmapped; got != want {
			t.Errorf("%s: %d events, %d unmapped", body, len(out.Events), out.Unmapped)
		}
	}
	d, err := NewDecoder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	out, err := d.Decode(Input{Body: []byte(`payload=%5B%7B%22c%22%3A1%2C%22id%22%3A1%7D%5D`), Header: map[string][]string{"Content-Type": {"application/x-www-form-urlencoded"}}})
	if err != nil || len(out.Events) != 1 || !out.Batch {
		t.Errorf("JSON in a form: %+v, %v", out, err)
	}
}

func TestTextFormat(t *testing.T) {
	d, err := NewDecoder(Config{Format: Text, Map: []MapRule{
		{Field: "channel", Value: "{match.room}"}, {Field: "body", Value: "{body|html_text}"}, {Field: "id", Value: "{redis.id}"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := d.Decode(Input{Body: []byte("<p>hi</p>"), Match: map[string]string{"room": "5"}, Redis: map[string]string{"id": "1-0"}})
	if err != nil || len(out.Events) != 1 || out.Events[0].Body != "hi" || out.Events[0].ID.Text != "1-0" || out.Events[0].Channel.Text != "5" {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := d.Decode(Input{Body: []byte("\xff")}); err == nil {
		t.Error("invalid UTF-8 was taken")
	}
}

// Nothing of an event may lie in memory that the next delivery writes to.
func TestEventsOutliveTheInput(t *testing.T) {
	d, err := NewDecoder(own("each {json.e}", "map channel {item.c}", "map id {item.id}", "map body {item.t}", "map data {item}"))
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"e":[{"c":"one","id":"1","t":"\u0061bc"},{"c":"two","id":"2","t":"def"}]}`)
	out, err := d.Decode(Input{Body: body})
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprintf("%+v", out)
	for i := range body {
		body[i] = 'x'
	}
	for range 10 {
		if _, err := d.Decode(Input{Body: []byte(`{"e":[{"c":"ZZZ","id":"9","t":"ZZZZZZ"},{"c":"ZZZ","id":"9","t":"ZZZ"}]}`)}); err != nil {
			t.Fatal(err)
		}
	}
	if after := fmt.Sprintf("%+v", out); after != before {
		t.Errorf("%s\nbecame\n%s", before, after)
	}
}

// Text that was cut inside an emoji is text; what names something is not.
func TestHalfPairs(t *testing.T) {
	cfg := own("map user {json.user}", "map user_name {json.name}", "map to {json.to}", "map thread {json.thread}", "map version {json.v}")
	for body, want := range map[string]string{
		`{"room":"r","id":1,"text":"a\ud83d"}`:                        "a\ufffd",
		`{"room":"r","id":1,"text":"\ude00b\ud83d\u0041"}`:            "\ufffdb\ufffdA",
		`{"room":"r","id":1,"text":"\\ud83d"}`:                        `\ud83d`,
		`{"room":"r","id":1,"text":"\ud83d\ude00"}`:                   "\U0001f600",
		"{\"room\":\"r\",\"id\":1,\"text\":\"a\xed\xa0\xbd\"}":        "a\ufffd",
		`{"room":"r","id":1,"text":"a","name":"\ud83d"}`:              "a",
		`{"room":"r","id":1,"text":"a","other":"\ud83d","\ud83d":{}}`: "a",
		`{"room":"r\ud83d","id":1}`:                                   "half", `{"room":"r","id":"\ud83d"}`: "half", `{"room":"r","id":1,"user":"\udc00x"}`: "half",
		`{"room":"r","id":1,"to":["a","\ud83d"]}`: "half", `{"room":"r","id":1,"thread":"\ud83d"}`: "half", `{"room":"r","id":1,"v":"\ud83d"}`: "half",
		"{\"room\":\"\xed\xa0\xbd\",\"id\":1}": "half",
	} {
		out, err := mustDecoder(t, cfg).Decode(Input{Body: []byte(body)})
		switch {
		case want == "half":
			if err != errHalf || len(out.Events) > 0 {
				t.Errorf("%s: %+v, %v", body, out, err)
			}
		case err != nil || len(out.Events) != 1 || out.Events[0].Body != want:
			t.Errorf("%s: %+v, %v; want %q", body, out, err, want)
		}
	}
	batch := decoded(t, own("each {json.e}", "map channel {item.c}", "map id {item.id}", "map body {item.t}", "map data {item}"),
		`{"e":[{"c":"\ud83d","id":1},{"c":"x","id":2,"t":"\ud83d","o":"\udc00"}]}`)
	if len(batch.Events) != 1 || batch.Unmapped != 1 || string(batch.Events[0].Payload) != `{"c":"x","id":2,"t":"\ufffd","o":"\ufffd"}` {
		t.Errorf("a batch: %+v", batch)
	}
	for format, body := range map[Format]string{Form: "room=r&id=1&text=a%ED%A0%BD", Msgpack: "\x83\xa4room\xa1r\xa2id\x01\xa4text\xa4a\xed\xa0\xbd"} {
		cfg := Config{Format: format, Map: []MapRule{{Field: "channel", Value: eitherBody("room")}, {Field: "id", Value: eitherBody("id")}, {Field: "body", Value: eitherBody("text")}}}
		out, err := mustDecoder(t, cfg).Decode(Input{Body: []byte(body)})
		if err != nil || len(out.Events) != 1 || out.Events[0].Body != "a\ufffd" {
			t.Errorf("%s: %+v, %v", format, out, err)
		}
	}
}

// What a preset drops can be taken in, and the events of socket.io have names.
func TestDropOfAPreset(t *testing.T) {
	body := `["emitter",{"type":2,"data":["new message",{"id":5,"text":"hi"}],"nsp":"/"},{"rooms":["r"]}]`
	for _, c := range []struct {
		lines []string
		want  int
	}{
		{nil, 0}, {[]string{"drop none"}, 1}, {[]string{"drop none", "drop {json.1.data.1.id} == 5"}, 0}, {[]string{"drop {json.1.data.0} == typing"}, 0},
		{[]string{"events message"}, 0},
	} {
		cfg := Config{Preset: "socketio", Format: JSON}
		for _, line := range c.lines {
			name, rest, _ := strings.Cut(line, " ")
			if err := cfg.Option(name, strings.Split(rest, " ")); err != nil {
				t.Fatal(err)
			}
		}
		if out := decoded(t, cfg, body); len(out.Events) != c.want {
			t.Errorf("%q: %+v", c.lines, out)
		}
	}
	cfg := Config{Preset: "socketio", Format: JSON}
	if err := cfg.Option("events", []string{"message", "new message"}); err != nil {
		t.Fatal(err)
	}
	if out := decoded(t, cfg, body); len(out.Events) != 1 || out.Events[0].Body != "hi" {
		t.Errorf("two names: %+v", out)
	}
	if _, err := NewDecoder(Config{Preset: "mattermost", Events: []string{"x"}}); err == nil {
		t.Error("events of a preset without names")
	}
}

// An array at the top can be mapped by its elements, without a preset.
func TestArrayAtTheTop(t *testing.T) {
	d := mustDecoder(t, Config{Format: Msgpack, Map: []MapRule{{Field: "channel", Value: "{json.0}"}, {Field: "id", Value: "{json.1.id}"}, {Field: "body", Value: "{json.1.text}"}}})
	out, err := d.Decode(Input{Body: []byte("\x92\xa1r\x82\xa2id\x05\xa4text\xa2hi")})
	if err != nil || len(out.Events) != 1 || out.Events[0].Body != "hi" || out.Events[0].Channel.Text != "r" {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := mustDecoder(t, own()).Decode(Input{Body: []byte(`[{"room":1}]`)}); err != errTopLevelArray {
		t.Errorf("an array that no rule looks into: %v", err)
	}
}

// A way in can be bound to channels, under each name that they have.
func TestBoundChannels(t *testing.T) {
	cfg := own("map to {json.to}", "channels acme/* lobby* *-ops 19:*")
	for body, want := range map[string]int{
		`"acme/main"`: 1, `"acme:main"`: 1, `"acme/"`: 1, `"other/acme/main"`: 0, `"lobby"`: 1, `"lobby2"`: 1, `"alobby"`: 0, `"eu-ops"`: 1, `"ops"`: 0, `"19:x;y"`: 1, `"x"`: 0,
		`["lobby","x"]`: 0, `["lobby","a-ops"]`: 2,
	} {
		out := decoded(t, cfg, `{"id":1,"room":`+body+`}`)
		if len(out.Events) != want || (want == 0 && !strings.Contains(out.Reason, "bound to")) {
			t.Errorf("%s: %+v", body, out)
		}
	}
	if out := decoded(t, cfg, `{"id":1,"to":7}`); len(out.Events) != 0 {
		t.Errorf("a private message: %+v", out)
	}
	if out := decoded(t, own("map to {json.to}", "channels user:*"), `{"id":1,"to":7}`); len(out.Events) != 1 {
		t.Errorf("a private message that is allowed: %+v", out)
	}
}

// The places where a preset finds a channel hold ids of one kind: an id of a room
// must never be that of a user or of a conversation, or a message reaches those
// who listen to the other thing with that number. Whoever adds a preset, or a
// place, says here what the ids are.
func TestAlternativesOfAChannelAreOfOneKind(t *testing.T) {
	kinds := map[string][]string{ // the presets whose places are of the kind, by the places
		"{json.channel_id ?? form.channel_id}":        {"mattermost", "slack"},
		"{json.channel_id}":                           {"rocketchat"},
		"{json.message.stream_id ?? form.channel_id}": {"zulip"}, // the form's is the stream's too
		"{json.room.id}":                              {"campfire"},
		"{item.room_id}":                              {"campfire_classic", "matrix"},
		"{item.flow}":                                 {"flowdock"},
		"{item.subject}":                              {"cloudevents"},
		"{item.stream}":                               {"anycable"},
		"{json.event.channel}":                        {"slack_events"},
		"{json.repository.full_name}":                 {"github"},
		"{json.data.channel}":                         {"standardwebhooks"},
		"{json.2.rooms}":                              {"socketio"},
		"{match.channel ?? redis.channel}":            {"actioncable", "laravel"}, // names of Redis channels
		"{json.chat_message.message.chat_channel_id ?? json.chat_message.channel.id}": {"discourse"},
	}
	for _, p := range presets {
		var places []string
		for _, r := range p.rules {
			if r.Field == "channel" {
				places = append(places, r.Value)
			}
		}
		if len(places) == 0 && p.name == "stripe" {
			continue
		}
		if len(places) != 1 || !slices.Contains(kinds[places[0]], p.name) {
			t.Errorf("%s finds a channel in %q: are these ids of one kind?", p.name, places)
		}
	}
}

// A direct message of Zulip goes to those who are in the conversation, and to no
// stream, whatever number the conversation has.
func TestZulipDirectMessage(t *testing.T) {
	out := decoded(t, Config{Preset: "zulip"}, `{"token":"x","trigger":"direct_message","message":{"id":43,"type":"private","recipient_id":5,
		"display_recipient":[{"id":9,"email":"a@x"},{"id":10,"email":"b@x"}],"content":"psst","sender_id":9,"timestamp":1714557600}}`)
	var got []string
	for _, e := range out.Events {
		got = append(got, e.Channel.Text)
	}
	if fmt.Sprint(got) != "[user:9 user:10]" {
		t.Errorf("%q, %+v", got, out)
	}
}

// GitHub sends JSON, or a form with the JSON in it.
func TestGitHubForm(t *testing.T) {
	const body = `{"action":"created","comment":{"body":"fixed & done"},"repository":{"full_name":"acme/app"},"sender":{"id":1,"login":"ann"}}`
	d := mustDecoder(t, Config{Preset: "github"})
	for contentType, sent := range map[string]string{"application/json": body, "application/x-www-form-urlencoded": "payload=" + url.QueryEscape(body)} {
		out, err := d.Decode(Input{Body: []byte(sent), Delivery: "d", Header: map[string][]string{"Content-Type": {contentType}}})
		if err != nil || len(out.Events) != 1 || out.Events[0].Body != "fixed & done" || out.Events[0].Channel.Text != "acme/app" {
			t.Errorf("%s: %+v, %v", contentType, out, err)
		}
	}
	for sent, want := range map[string]error{
		"a=b": errDocument, "payload=%7B%7D&payload=%7B%7D": errDuplicateForm, "payload=%7B": errTruncated, "payload=" + strings.Repeat("&a=b", maxFields): errFields,
	} {
		_, err := d.Decode(Input{Body: []byte(sent), Header: map[string][]string{"Content-Type": {"application/x-www-form-urlencoded"}}})
		if err != want {
			t.Errorf("%.40s: %v, want %v", sent, err, want)
		}
	}
}

// A delete says which message is gone. That it brings no data loses neither it nor
// what it takes back.
func TestDeleteWithoutData(t *testing.T) {
	cfg := own("map channel {json.room}", "map id {json.id}", "map op {json.op}", "map data {json.card}")
	for body, unmapped := range map[string]int{
		`{"room":1,"id":5,"op":"delete"}`:             0,
		`{"room":1,"id":5,"op":"delete","card":null}`: 0,
		`{"room":1,"id":5,"op":"delete","card":7}`:    1,
		`{"room":1,"id":5,"op":"edit"}`:               1,
		`{"room":1,"id":5}`:                           1,
	} {
		out := decoded(t, cfg, body)
		if out.Unmapped != unmapped || len(out.Events) != 1-unmapped {
			t.Errorf("%s: %+v", body, out)
		}
		for _, e := range out.Events {
			if e.Op != event.Delete || len(e.Payload) > 0 {
				t.Errorf("%s: %+v", body, e)
			}
		}
	}
}

// A place as jq writes it is not taken as it stands.
func TestPlacesOfJQ(t *testing.T) {
	for _, line := range []string{"map channel .room", "map body .room.id", "map channel $.room"} {
		var cfg Config
		err := cfg.Option("map", strings.Fields(line)[1:])
		if err == nil {
			_, err = NewDecoder(cfg)
		}
		if err == nil || !strings.Contains(err.Error(), "{json.room") {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, text := range []string{".", "...", ". . .", ".5", "./room"} {
		if right, ok := deliveries.place(text); ok {
			t.Errorf("%q was taken for %s", text, right)
		}
	}
}
