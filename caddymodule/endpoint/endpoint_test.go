package endpoint

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/format"
)

func TestFlowdockAsk(t *testing.T) {
	many := make([]string, 250)
	for i := range many {
		many[i] = "8d5b2a3e-0000-4000-8000-" + strconv.Itoa(100000000000+i)
	}
	for _, c := range []struct {
		uri      string
		channels string
		private  bool
		status   int
	}{
		{"/flows?filter=a/b,c/d", "a/b c/d", false, 0},
		{"/flows?filter=a%2Fb%2Cc%2Fd", "a/b c/d", false, 0},
		{"/flows/?filter=acme:main", "acme:main", false, 0},
		{"/flows?filter=acme%3Amain,acme:main", "acme:main", false, 0},
		{"/flows?filter=!room:example.org", "!room:example.org", false, 0},
		{"/flows?filter=%23x,50%25,19:x;y%3D1", "", false, 400},
		{"/flows?filter=%23x,50%25,19:x%3By%3D1", "#x 50% 19:x;y=1", false, 0},
		{"/flows?filter=a%2Cb,", "a,b", false, 0},
		{"/flows?filter=a%2Cb,c", "a,b c", false, 0},
		{"/flows?filter=a%2Cb", "a b", false, 0},
		{"/flows?filter=+a%2C%20b", "a b", false, 0},
		{"/flows?filter=+a,b", " a b", false, 0},
		{"/flows?f%69lter=a,b", "a b", false, 0},
		{"/flows/a/b%2Fc", "a/b/c", false, 0},
		{"/flows?filter=" + strings.Join(many, "%2C"), strings.Join(many, " "), false, 0},
		{"/flows?filter=" + strings.Join(many, ",") + ",one", "", false, 400},
		{"/flows?filter=&active=idle&user=1", "", true, 0},
		{"/flows/?active=true&user=1", "", true, 0},
		{"/flows?user=1&filter=a/b&query=text/event-stream", "a/b", true, 0},
		{"/flows?filter=a/b&user=0", "a/b", false, 0},
		{"/flows/acme/main", "acme/main", false, 0},
		{"/flows/acme/main/?user=1", "acme/main", true, 0},
		{"/flows/acme/main?filter=x/y", "x/y acme/main", false, 0},
		{"/flows", "", false, 400},
		{"/flows?filter=", "", false, 400},
		{"/flows?filter=,,", "", false, 400},
		{"/flows?user=0", "", false, 400},
		{"/flows?active=true", "", false, 400},
		{"/flows?filter=user:7", "", false, 400},
		{"/flows?filter=a/b/c", "a/b/c", false, 0},
		{"/flows?filter=a/..", "", false, 400},
		{"/flows?filter=a%252Fb", "", false, 400},
		{"/flows?filter=a%252Cb", "a%2Cb", false, 0},
		{"/flows?filter=a%252F%252e%252e", "", false, 400},
		{"/flows?filter=a/b&filter=c/d", "", false, 400},
		{"/flows?filter=a/b&user=1&user=0", "", false, 400},
		{"/flows?filter=a/b&catchup=soon", "", false, 400},
		{"/flows?filter=a/b&on_gap=x", "", false, 400},
	} {
		r := target(t, http.MethodGet, c.uri)
		a, re := testFlowdock.Ask(ReadLine(r), r)
		status := 0
		if re != nil {
			status = re.Status
		}
		if status != c.status {
			t.Errorf("%.60s: status %d, want %d", c.uri, status, c.status)
		}
		if got := strings.Join(a.Channels, " "); status == 0 && (got != c.channels || a.Private != c.private) {
			t.Errorf("%.60s: channels %q, private %t", c.uri, got, a.Private)
		}
	}
}

func TestCampfireAsk(t *testing.T) {
	for uri, want := range map[string]string{
		"/room/1/live.json": "1 campfire-json", "//room/a%20b/live.xml": "a b campfire-xml",
		"/room/user:7/live.json": "400", "/room/1/live.json?lastEventId=a&lastEventId=b": "400",
		"/room/1/live.json?since_message_id=": "1 campfire-json",
	} {
		r := target(t, http.MethodGet, uri)
		a, re := testCampfire.Ask(ReadLine(r), r)
		got := strings.Join(a.Channels, " ") + " " + a.Format.Name()
		if re != nil {
			got = strconv.Itoa(re.Status)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", uri, got, want)
		}
	}
}

func TestFlowdockFormat(t *testing.T) {
	for _, c := range []struct {
		header, parameter string
		want              format.Format
	}{
		{"", "", format.FlowdockJSON{}},
		{"*/*", "", format.FlowdockJSON{}},
		{"text/html", "", format.FlowdockJSON{}},
		{"text/event-stream", "", format.SSE{}},
		{"Text/Event-Stream; charset=utf-8", "", format.SSE{}},
		{"application/json, text/event-stream", "", format.FlowdockJSON{}},
		{"text/event-stream, */*", "", format.SSE{}},
		{"application/json;q=0.5, text/event-stream;q=0.9", "", format.SSE{}},
		{"text/event-stream;q=0", "", format.FlowdockJSON{}},
		{"text/event-stream", "application/json", format.FlowdockJSON{}},
		{"application/json", "text/event-stream", format.SSE{}},
		{"text/event-stream;q=x", "", format.FlowdockJSON{}},
	} {
		h := http.Header{}
		if c.header != "" {
			h.Set("Accept", c.header)
		}
		if got := flowdockFormat(h, c.parameter); got != c.want {
			t.Errorf("Accept %q, accept= %q: %s, want %s", c.header, c.parameter, got, c.want)
		}
	}
}

func TestReadFrom(t *testing.T) {
	for _, c := range []struct {
		header, query string
		want          stream.From
	}{
		{"", "", stream.From{}},
		{"", "lastEventId=x", stream.From{Cursor: "x"}},
		{"h", "lastEventId=x", stream.From{Cursor: "h"}},
		{"", "cursor=c", stream.From{Cursor: "c"}},
		{"", "since_message_id=5", stream.From{MessageID: "5"}},
		{"", "since_message_id=&catchup=", stream.From{}},
		{"", "catchup=30m", stream.From{Since: 30 * time.Minute}},
		{"", "catchup=12h&on_gap=oldest", stream.From{Since: 12 * time.Hour, Oldest: true}},
	} {
		query, err := readQuery(c.query, fromParameters...)
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		h.Set("last-event-id", c.header)
		if got, re := readFrom(h, query); re != nil || got != c.want {
			t.Errorf("%q %q: %+v, %v", c.header, c.query, got, re)
		}
	}
	for _, bad := range []string{"0s", "-5m", "30", "9999h", "x"} {
		if _, re := readFrom(http.Header{}, map[string]string{"catchup": bad}); re == nil {
			t.Errorf("catchup=%s was taken", bad)
		}
	}
}
