package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// polling is a client of Bayeux over long-polling, as plain as can be: no library
// stands between a test and the wire.
type polling struct {
	t      *testing.T
	url    string
	auth   string // of every request, if set
	client string
	n      int
	got    []bayeuxMessage // events, in the order in which they came
	ext    string          // of the next handshake
	ack    bool            // acknowledges
	acked  int
	stray  []bayeuxMessage // replies to nothing that was asked, such as lost rights
}

// bayeuxMessage is a reply or an event.
type bayeuxMessage struct {
	Channel      string          `json:"channel"`
	ID           string          `json:"id"`
	ClientID     string          `json:"clientId"`
	Successful   *bool           `json:"successful"`
	Error        string          `json:"error"`
	Subscription any             `json:"subscription"`
	Data         json.RawMessage `json:"data"`
	Advice       struct {
		Reconnect string `json:"reconnect"`
	} `json:"advice"`
	Ext map[string]any `json:"ext"`
}

func (s *server) polling(t *testing.T) *polling { return &polling{t: t, url: s.url + "/faye"} }

// send posts messages, and returns the replies.
func (p *polling) send(messages ...string) []bayeuxMessage {
	p.t.Helper()
	replies, err := p.try(messages...)
	if err != nil {
		p.t.Fatal(err)
	}
	return replies
}

func (p *polling) try(messages ...string) ([]bayeuxMessage, error) {
	req, err := http.NewRequest(http.MethodPost, p.url, strings.NewReader("["+strings.Join(messages, ",")+"]"))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if p.auth != "" {
		req.Header.Set("Authorization", p.auth)
	}
	client := http.Client{Timeout: 40 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var all []bayeuxMessage
	if err := json.Unmarshal(body, &all); err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %d: %s: %v", resp.StatusCode, body, err)
	}
	var replies []bayeuxMessage
	for _, m := range all {
		switch {
		case m.Successful == nil:
			p.got = append(p.got, m)
		case m.ID == "" && m.Channel == "/meta/subscribe":
			p.stray = append(p.stray, m)
		default:
			replies = append(replies, m)
		}
	}
	return replies, nil
}

func (p *polling) message(channel, more string) string {
	p.n++
	return fmt.Sprintf(`{"channel":%q,"id":"%d","clientId":%q%s}`, channel, p.n, p.client, more)
}

// handshake begins a session.
func (p *polling) handshake() bayeuxMessage {
	p.t.Helper()
	p.client = ""
	more := `,"version":"1.0","supportedConnectionTypes":["long-polling"]`
	switch {
	case p.ack:
		more += `,"ext":{"ack":true}`
	case p.ext != "":
		more += `,"ext":` + p.ext
	}
	replies := p.send(p.message("/meta/handshake", more))
	if len(replies) != 1 || !*replies[0].Successful {
		p.t.Fatalf("handshake: %+v", replies)
	}
	p.client = replies[0].ClientID
	return replies[0]
}

// subscribe asks for channels; ext is that of the message, if it is not empty.
func (p *polling) subscribe(ext string, channels ...string) bayeuxMessage {
	p.t.Helper()
	names, _ := json.Marshal(channels)
	more := `,"subscription":` + string(names)
	if ext != "" {
		more += `,"ext":` + ext
	}
	replies := p.send(p.message("/meta/subscribe", more))
	if len(replies) != 1 || replies[0].Channel != "/meta/subscribe" {
		p.t.Fatalf("subscribe: %+v", replies)
	}
	return replies[0]
}

// connect polls once.
func (p *polling) connect() bayeuxMessage {
	p.t.Helper()
	reply, err := p.tryConnect(5000)
	if err != nil {
		p.t.Fatal(err)
	}
	return reply
}

func (p *polling) tryConnect(timeout int) (bayeuxMessage, error) {
	more := fmt.Sprintf(`,"connectionType":"long-polling","advice":{"timeout":%d}`, timeout)
	if p.ack {
		more += fmt.Sprintf(`,"ext":{"ack":%d}`, p.acked)
	}
	replies, err := p.try(p.message("/meta/connect", more))
	if err != nil {
		return bayeuxMessage{}, err
	}
	if len(replies) != 1 || replies[0].Channel != "/meta/connect" {
		return bayeuxMessage{}, fmt.Errorf("connect: %+v", replies)
	}
	if n, ok := replies[0].Ext["ack"].(float64); ok {
		p.acked = int(n)
	}
	return replies[0], nil
}

// until polls until there are so many events, and returns them all.
func (p *polling) until(n int) []bayeuxMessage {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%d events", n), func() bool {
		if len(p.got) < n {
			if r := p.connect(); !*r.Successful {
				p.t.Fatalf("connect: %+v", r)
			}
		}
		return len(p.got) >= n
	})
	return p.got
}

// texts are channel and text of events, a few letters each.
func texts(messages []bayeuxMessage, names map[string]string) (all []string) {
	for _, m := range messages {
		var data struct {
			Text, Content string
		}
		_ = json.Unmarshal(m.Data, &data)
		all = append(all, names[m.Channel]+":"+data.Text+data.Content)
	}
	return all
}

// liveDirectives are a site with signed channels of live events.
func (b *testBackend) liveDirectives(more string) string {
	return fmt.Sprintf(`sidestream %[1]s {
		webhook /hooks/own {
			verify standardwebhooks %[2]s
			map channel {json.live|object:live}/all_json
			map also    {json.live|object:live}/promoted_json when {json.promoted} == true
			map id      {json.id}
			map data    {json.comment}
		}
		auth GET /may/{channel} {
			allow json user_id exists
			user  json user_id
		}
		%[3]s
	}
	reverse_proxy %[1]s`, b.address(), hookSecret, more)
}

const liveSecret = "a secret of signed channels"

// comment posts a comment on a live event.
func (s *server) comment(live string, id int, promoted bool) {
	s.t.Helper()
	body := fmt.Sprintf(`{"live":%q,"id":%d,"promoted":%v,"comment":{"text":"%d"}}`, live, id, promoted, id)
	if status, answer := s.post("/hooks/own", []byte(body)); status/100 != 2 {
		s.t.Fatalf("publishing %s: %d %s", body, status, answer)
	}
}

// realtime asks for the signed name of an object.
func (s *server) realtime(t *testing.T, path, token string) (status int, url, channel string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	status, answer := do(t, req)
	var told struct {
		URL     string `json:"realtime_url"`
		Channel string `json:"realtime_channel"`
	}
	if err := json.Unmarshal([]byte(answer), &told); err != nil {
		t.Fatalf("%s: %d %s", path, status, answer)
	}
	return status, told.URL, told.Channel
}

func TestSignedChannels(t *testing.T) {
	b := newBackend(t)
	const old = "an older secret of signed channels"
	bayeux := func(signed string) string {
		return b.liveDirectives(`revoke /revoke {
			secret revoke-secret
		}
		history {
			store file
		}
		bayeux {
			signed ` + signed + `
			object live GET /may/{id}
			announce live /may/{id}
			realtime /realtime
			timeout 2s
		}`)
	}
	s := start(t, bayeux(`"`+old+`"`))
	b.decide(goodToken, "9", verdict{status: http.StatusForbidden})

	if status, _, _ := s.realtime(t, "/realtime/live/5", ""); status != http.StatusUnauthorized {
		t.Errorf("without a credential: %d", status)
	}
	for path, want := range map[string]int{"/realtime/live/9": 403, "/realtime/photo/5": 404, "/realtime/live": 404, "/realtime/live/5/a.b": 404} {
		if status, _, name := s.realtime(t, path, goodToken); status != want || name != "" {
			t.Errorf("%s: %d, %q", path, status, name)
		}
	}
	status, url, root := s.realtime(t, "/realtime/live/5", goodToken)
	if status != http.StatusOK || url != "//127.0.0.1:"+s.port+"/faye" || len(root) != 41 {
		t.Fatalf("%d, url %q, channel %q", status, url, root)
	}
	if _, _, name := s.realtime(t, "/realtime/live/5/all_json", goodToken); name != root+"/all_json" {
		t.Errorf("with a name behind it: %q", name)
	}

	// The app's own answers have it, too, and otherwise are what the app said.
	for _, id := range []string{"5", "9x"} {
		b.decide(goodToken, id, verdict{status: http.StatusOK, header: map[string]string{"Content-Type": "application/json"}, body: `{"user_id":"7"}`})
	}
	if _, _, name := s.realtime(t, "/may/5", goodToken); name != root {
		t.Errorf("the app's page has %q", name)
	}
	if status, url, name := s.realtime(t, "/may/9x", goodToken); status != http.StatusOK || url == "" || name == root {
		t.Errorf("another object's page: %d, %q, %q", status, url, name)
	}
	for _, path := range []string{"/may/9", "/other/5"} {
		req, err := http.NewRequest(http.MethodGet, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+goodToken)
		if _, answer := do(t, req); strings.Contains(answer, "realtime") {
			t.Errorf("%s answers %s", path, answer)
		}
	}

	p := s.polling(t)
	p.handshake()
	for _, channel := range []string{"/" + strings.Repeat("0", 40) + "/all_json", root, strings.ToUpper(root) + "/all_json", "/*/all_json", "/**", "/*"} {
		if r := p.subscribe("", channel); *r.Successful {
			t.Errorf("%s: %+v", channel, r)
		}
	}
	if r := p.subscribe("", root+"/all_json", root+"/promoted_json"); !*r.Successful {
		t.Fatalf("subscribe: %+v", r)
	}
	wild := s.polling(t)
	wild.handshake()
	if r := wild.subscribe("", root+"/*", root+"/**"); !*r.Successful {
		t.Fatalf("subscribe: %+v", r)
	}
	names := map[string]string{root + "/all_json": "all", root + "/promoted_json": "promoted"}
	s.comment("6", 1, true) // another event's
	s.comment("5", 2, false)
	s.comment("5", 3, true)
	for name, client := range map[string]*polling{"by name": p, "by wildcard": wild} {
		if got, want := texts(client.until(3), names), []string{"all:2", "all:3", "promoted:3"}; !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}

	// A secret is replaced: both roots are good, and lead to one channel.
	s.reload(bayeux(`"` + liveSecret + `" "` + old + `"`))
	_, _, newRoot := s.realtime(t, "/realtime/live/5", goodToken)
	if newRoot == root {
		t.Error("the root is still made with the older secret")
	}
	q := s.polling(t)
	q.handshake()
	if r := q.subscribe("", newRoot+"/all_json"); !*r.Successful {
		t.Fatalf("subscribe: %+v", r)
	}
	s.comment("5", 4, false)
	if got := texts(p.until(4), names)[3]; got != "all:4" {
		t.Errorf("by the older root: %s", got)
	}
	if got := texts(q.until(1), map[string]string{newRoot + "/all_json": "new"}); !slices.Equal(got, []string{"new:4"}) {
		t.Errorf("by the newer root: %s", got)
	}

	// An object's root is made anew: who listens by an old one is told, and the session lives on.
	req, err := http.NewRequest(http.MethodPost, s.url+"/revoke", bytes.NewReader([]byte(`{"object":{"kind":"live","id":"5"}}`)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer revoke-secret")
	if status, answer := do(t, req); status != http.StatusNoContent {
		t.Fatalf("making a root anew: %d %s", status, answer)
	}
	eventually(t, "the end of a subscription", func() bool { return *q.connect().Successful && len(q.stray) == 1 })
	if m := q.stray[0]; *m.Successful || m.Subscription != newRoot+"/all_json" || !strings.HasPrefix(m.Error, "403:") {
		t.Errorf("told %+v", m)
	}
	_, _, third := s.realtime(t, "/realtime/live/5", goodToken)
	for root, want := range map[string]bool{root: false, newRoot: false, third: true} {
		if r := q.subscribe("", root+"/all_json"); *r.Successful != want {
			t.Errorf("%s: %+v", root, r)
		}
	}
	s.restart(syscall.SIGKILL)
	q.handshake()
	for root, want := range map[string]bool{root: false, newRoot: false, third: true} {
		if r := q.subscribe("", root+"/all_json"); *r.Successful != want {
			t.Errorf("after a restart, %s: %+v", root, r)
		}
	}
}

// What is asked of the past and what is said now make one row, whatever was subscribed
// to first, over each transport that a session has, and in a new session that says what
// it has.
func TestCatchUp(t *testing.T) {
	b := newBackend(t)
	s := start(t, b.liveDirectives(`history {
			store memory
		}
		bayeux {
			signed "`+liveSecret+`"
			object live GET /may/{id}
			realtime /realtime
			timeout 2s
			catchup 12h
		}`))
	_, _, name := s.realtime(t, "/realtime/live/5/all_json", goodToken)
	past := name + "/catchup/6h"
	names := map[string]string{name: "now", past: "past"}
	const before = 300 // more than one chunk
	for i := range before {
		s.comment("5", i, false)
	}
	want := func(kind string, from, to int) (all []string) {
		for i := from; i < to; i++ {
			all = append(all, fmt.Sprintf("%s:%d", kind, i))
		}
		return all
	}
	check := func(what string, p *polling, want []string) {
		t.Helper()
		if got := texts(p.until(len(want)), names); !slices.Equal(got, want) {
			t.Errorf("%s: got %d events\n%q\nwant %d\n%q", what, len(got), got, len(want), want)
		}
	}
	client := func() *polling { p := s.polling(t); p.handshake(); return p }

	for _, name := range []string{name + "/catchup/13h", name + "/catchup/0h", name + "/catchup/6d", name + "/catchup/*", name + "/catchup/**"} {
		if r := client().subscribe("", name); *r.Successful || !strings.HasPrefix(r.Error, "404:"+name+":") {
			t.Errorf("%s: %+v", name, r)
		}
	}
	both, reversed, apart, alone, later, acking := client(), client(), client(), client(), client(), &polling{t: t, url: s.url + "/faye", ack: true}
	acking.handshake()
	both.subscribe("", name, past)
	reversed.subscribe("", past, name)
	acking.subscribe("", past, name)
	alone.subscribe("", past)
	apart.subscribe("", name)
	later.subscribe("", past)
	wild := client()
	wild.subscribe("", strings.TrimSuffix(name, "all_json")+"**")
	for i := range 3 {
		s.comment("5", before+i, false)
	}
	later.subscribe("", name)
	apart.subscribe("", past) // what it has had since is not given twice
	for i := range 3 {
		s.comment("5", before+3+i, false)
	}
	whole := append(want("past", 0, before), want("now", before, before+6)...)
	check("both at once", both, whole)
	check("both, the past first", reversed, whole)
	check("with acknowledgements", acking, whole)
	check("the past, and then the channel", later, whole)
	check("the channel, and then the past", apart, whole)
	check("the past alone", alone, want("past", 0, before))
	s.comment("5", before+6, false)
	if r := alone.connect(); !*r.Successful || len(alone.got) != before {
		t.Errorf("the past alone got what was said later: %q", texts(alone.got[before:], names))
	}
	if got := texts(wild.until(7), names); !slices.Equal(got, want("now", before, before+7)) {
		t.Errorf("a wildcard saw the past of others: %q", got)
	}

	// A new session that says where it was.
	for _, at := range []int{10, before - 1, before + 4} {
		again := client()
		r := again.subscribe(fmt.Sprintf(`{"since":%q}`, both.got[at].Ext["cursor"]), name, past)
		if r.Ext["resume"] != "complete" {
			t.Errorf("since %d: %+v", at, r)
		}
		check(fmt.Sprintf("since %d", at), again, want("now", at+1, before+7))
	}
	lost := client()
	if r := lost.subscribe(`{"since":"0000000000000000.5.000000"}`, name); !*r.Successful || r.Ext["resume"] != "gap;reason=epoch-changed" {
		t.Errorf("a cursor of another life: %+v", r)
	}
	if got := lost.until(1)[0]; got.Channel != name || got.Ext["gap"] == nil {
		t.Errorf("it was told %+v", got)
	}
}

// A session is taken up again after its server was killed, or has ended in order: the
// client is told nothing, and gets each message once.
func TestSessionOutlivesItsServer(t *testing.T) {
	b := newBackend(t)
	s := start(t, b.directives(`history {
			store file
		}
		bayeux {
			timeout 2s
			catchup 1h
		}`))
	names := map[string]string{"/rooms/1": "1", "/rooms/2": "2", "/rooms/1/catchup/1h": "past"}
	for i := range 200 {
		s.publish("1", i, fmt.Sprint(i))
	}
	plain, acking, private := s.polling(t), &polling{t: t, url: s.url + "/faye", ack: true}, s.polling(t)
	want := []string{}
	for i := range 200 {
		want = append(want, fmt.Sprintf("past:%d", i))
	}
	all := []*polling{plain, acking, private}
	for _, p := range all {
		p.auth = "Bearer " + goodToken
		p.handshake()
		if r := p.subscribe("", "/rooms/1", "/rooms/2", "/rooms/1/catchup/1h"); !*r.Successful {
			t.Fatalf("subscribe: %+v", r)
		}
		p.connect() // a part of the past
	}
	for round, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
		s.publish("2", 1000+2*round, fmt.Sprint(1000+2*round))
		want = append(want, fmt.Sprintf("2:%d", 1000+2*round))
		s.restart(signal)
		s.publish("1", 1001+2*round, fmt.Sprint(1001+2*round))
		want = append(want, fmt.Sprintf("1:%d", 1001+2*round))
		for i, p := range all {
			if got := texts(p.until(len(want)), names); !slices.Equal(got, want) {
				t.Errorf("after %v, client %d: %d events, want %d: %q", signal, i, len(got), len(want), got[max(0, len(got)-12):])
			}
		}
	}

	// The same connect, sent again because its answer was lost with the server, is
	// answered with the same events.
	s.publish("1", 2000, "2000")
	eventually(t, "an answer", func() bool { n := len(plain.got); plain.connect(); return len(plain.got) > n })
	plain.got = plain.got[:len(plain.got)-1] // it never came
	s.restart(syscall.SIGKILL)
	plain.n--
	eventually(t, "the answer once more", func() bool { n := len(plain.got); plain.connect(); return len(plain.got) > n })
	if got := texts(plain.got[len(plain.got)-1:], names); got[0] != "1:2000" {
		t.Errorf("once more: %q", got)
	}
	if r := plain.connect(); len(plain.got) != len(want)+1 || !*r.Successful {
		t.Errorf("and once more: %q", texts(plain.got[len(want):], names))
	}

	// Somebody else's credential takes nothing over, and a lost right is told.
	s.restart(syscall.SIGKILL)
	other := *plain
	other.t, other.auth = t, "Bearer other"
	if r := other.connect(); *r.Successful || r.Advice.Reconnect != "handshake" {
		t.Errorf("with another credential: %+v", r)
	}
	b.decide(goodToken, "2", verdict{status: http.StatusForbidden})
	eventually(t, "the end of a subscription", func() bool { return *private.connect().Successful && len(private.stray) == 1 })
	if m := private.stray[0]; m.Subscription != "/rooms/2" || !strings.HasPrefix(m.Error, "403:") {
		t.Errorf("told %+v", m)
	}
	// A session that has ended is not taken up.
	private.send(private.message("/meta/disconnect", ""))
	s.restart(syscall.SIGTERM)
	if r := private.connect(); *r.Successful || r.Advice.Reconnect != "handshake" {
		t.Errorf("after it has ended: %+v", r)
	}
}

// Clients poll at whichever node they come to, and one of the nodes dies: each message
// comes once, and in order.
func TestSessionHopsBetweenNodes(t *testing.T) {
	b := newBackend(t)
	r := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	directives := b.directives(`history {
			store redis redis://` + r.Addr + ` {
				durable
			}
		}
		bayeux {
			timeout 1s
		}`)
	nodes := []*server{start(t, directives), start(t, directives)}
	const clients, messages = 10, 60
	all := make([]*polling, clients)
	for i := range all {
		all[i] = nodes[i%2].polling(t)
		all[i].auth, all[i].ack = "Bearer "+goodToken, i%3 == 0
		all[i].handshake()
		if r := all[i].subscribe("", "/rooms/1"); !*r.Successful {
			t.Fatalf("subscribe: %+v", r)
		}
	}
	var work sync.WaitGroup
	for i, p := range all {
		work.Go(func() {
			deadline := time.Now().Add(time.Minute)
			for hop := i; len(p.got) < messages && time.Now().Before(deadline); hop++ {
				p.url = nodes[hop%2].url + "/faye"
				reply, err := p.tryConnect(1000)
				switch {
				case err != nil:
					p.n-- // the same connect once more, elsewhere
				case !*reply.Successful && reply.Advice.Reconnect != "retry":
					t.Errorf("client %d was told %+v", i, reply)
					return
				}
			}
		})
	}
	for n := range messages {
		nodes[0].publish("1", n, fmt.Sprint(n))
		if n == messages/3 || n == 2*messages/3 {
			nodes[1].restart(syscall.SIGKILL)
		}
	}
	work.Wait()
	var want []string
	for n := range messages {
		want = append(want, fmt.Sprintf("1:%d", n))
	}
	for i, p := range all {
		if got := texts(p.got, map[string]string{"/rooms/1": "1"}); !slices.Equal(got, want) {
			t.Errorf("client %d got %q", i, got)
		}
	}
}
