package caddymodule

import (
	"regexp"
	"strings"
	"testing"
)

var idLine = regexp.MustCompile(`id: (\S+)\ndata: [^\n]*one`)

func TestResume(t *testing.T) {
	s := newSite(t)
	s.load(basics)
	s.app.allow("tok", "1", "2")
	stream := s.open("/flows?filter=1", asBearer, asSSE)
	s.post("1", "11", "one")
	s.post("2", "12", "elsewhere")
	s.post("1", "13", "three")
	got := readUntil(t, stream, "three")
	id := idLine.FindStringSubmatch(got)
	if id == nil {
		t.Fatalf("no id in %q", got)
	}
	stream.Body.Close()
	for _, c := range []struct {
		target string
		header []string
		resume string
	}{
		{"/flows?filter=1", []string{"LAST-EVENT-ID: " + id[1]}, "complete"},
		{"/flows?filter=1&lastEventId=" + id[1], nil, "complete"},
		{"/flows?filter=1&lastEventId=stale", []string{"Last-Event-Id: " + id[1]}, "complete"},
		{"/flows?filter=1&since_message_id=11", nil, "complete"},
		{"/room/1/live.json?since_message_id=11", nil, "complete"},
		{"/flows?filter=1&catchup=30m", nil, "complete"},
	} {
		resp := s.open(c.target, append(c.header, asBasic)...)
		if got := resp.Header.Get("Stream-Resume"); got != c.resume {
			t.Errorf("%s: Stream-Resume %q", c.target, got)
		}
		got := readUntil(t, resp, "three")
		if strings.Contains(got, "elsewhere") || strings.Count(got, "three") != 1 || (strings.Contains(got, "one") && !strings.Contains(c.target, "catchup")) {
			t.Errorf("%s: %q", c.target, got)
		}
		resp.Body.Close()
	}
	lost := s.open("/flows?filter=1", asBearer, asSSE, "Last-Event-ID: of-another-server")
	if got := lost.Header.Get("Stream-Resume"); !strings.HasPrefix(got, "gap;reason=") {
		t.Errorf("an unknown cursor: Stream-Resume %q", got)
	}
	readUntil(t, lost, "event: gap")
	plain := s.open("/flows?filter=1", asBearer, "Last-Event-ID: ")
	if got := plain.Header.Get("Stream-Resume"); got != "" {
		t.Errorf("an empty cursor: Stream-Resume %q", got)
	}
}
