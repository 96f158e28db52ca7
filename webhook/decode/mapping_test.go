package decode

import (
	"fmt"
	"reflect"
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
