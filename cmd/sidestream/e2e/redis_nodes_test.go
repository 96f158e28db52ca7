package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/seed-078801ba/sidestream/cmd/sidestream/e2e/contract"
	"github.com/seed-078801ba/sidestream/stream/redisconn/redistest"
)

// Several Sidestreams that share one log in Redis, behind something that hands
// every connection to any of them.

// sharedSite is openSite with its history in a Redis.
func sharedSite(address, extra string) string {
	return openSite(fmt.Sprintf(`drain 200ms
		history {
			store redis %s {
				durable
			}
			per_channel 100000 24h 1GiB
		}
		%s`, address, extra))
}

// startNodes starts so many Sidestreams of one site, and waits until they are
// well.
func startNodes(t *testing.T, n int, site string) []*server {
	t.Helper()
	nodes := make([]*server, n)
	for i := range nodes {
		nodes[i] = start(t, site)
	}
	for _, node := range nodes {
		node.awaitHealth(http.StatusOK)
	}
	return nodes
}

// pipe carries connections from a port of its own to one of its targets.
type pipe struct {
	t        *testing.T
	listener net.Listener
	targets  []string
	work     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil when it is over
	open  chan struct{}         // closed while bytes may pass
}

func newPipe(t *testing.T, targets ...string) *pipe {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{t: t, listener: l, targets: targets, conns: map[net.Conn]struct{}{}, open: make(chan struct{})}
	close(p.open)
	p.work.Go(p.accept)
	t.Cleanup(p.end)
	return p
}

// balance is a load balancer before nodes. It looks like a server, for those
// who speak and listen.
func balance(t *testing.T, nodes []*server) *server {
	t.Helper()
	var targets []string
	for _, node := range nodes {
		targets = append(targets, "127.0.0.1:"+node.port)
	}
	address := newPipe(t, targets...).listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	return &server{t: t, port: port, url: "http://" + address}
}

func (p *pipe) address() string { return p.listener.Addr().String() }

func (p *pipe) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.carry(client) })
	}
}

func (p *pipe) end() {
	p.listener.Close()
	p.mu.Lock()
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()
	p.mend()
	for c := range conns {
		c.Close()
	}
	p.work.Wait()
}

// hold makes a connection one that end closes; false if it is over.
func (p *pipe) hold(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *pipe) drop(c net.Conn) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *pipe) carry(client net.Conn) {
	defer p.drop(client)
	if !p.hold(client) {
		return
	}
	<-p.passage()
	var target net.Conn
	first := rand.IntN(len(p.targets))
	for i := range p.targets {
		var err error
		if target, err = net.Dial("tcp", p.targets[(first+i)%len(p.targets)]); err == nil {
			break
		}
	}
	if target == nil {
		return
	}
	defer p.drop(target)
	if !p.hold(target) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { p.copy(client, target) })
	p.copy(target, client)
	back.Wait()
}

// copy carries one direction. The end of one side is that of both.
func (p *pipe) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		<-p.passage()
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *pipe) passage() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

// cut lets nothing pass any more, in no direction, neither bytes nor the end of
// a connection, as a firewall that drops packets. New connections hang.
func (p *pipe) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = make(chan struct{})
}

// mend lets pass what was held up, as TCP repeats what was lost.
func (p *pipe) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
	default:
		close(p.open)
	}
}

// atRate is a number of messages a second that the machine can bear.
func atRate(perSecond int) int {
	if raceDetector {
		return perSecond / 3
	}
	return perSecond
}

// audience adds clients of every kind. Every second one hangs up now and then,
// and comes back to any node.
func (c *crowd) audience(front *server, clients int, channels []string) {
	for i := range clients {
		d := dialects[i%3] // Campfire's JSON, Flowdock's JSON, server-sent events
		l := &listener{dialect: d, address: "127.0.0.1:" + front.port, channels: []string{channels[i%len(channels)]}}
		if d.name != "campfire-json" && i%2 == 0 {
			l.channels = channels
		}
		if i/3%2 == 0 {
			l.hangUp, l.away = 15, 100*time.Millisecond
		}
		c.listen(l)
	}
}

// judge has the publishers finish, waits until everybody has everything, reads
// all that every node has, and fails the test for every promise that was
// broken.
func (c *crowd) judge(front *server, nodes []*server, channels []string) contract.History {
	c.t.Helper()
	last := c.fallSilent(front.url, channels)
	for _, node := range nodes {
		if err := readAudit(c.rec, "127.0.0.1:"+node.port, channels, epochNow(c.rec.History()), last); err != nil {
			c.t.Errorf("reading everything of a node: %v", err)
		}
	}
	c.goHome()
	h := c.rec.History()
	// A stream of server-sent events that only says when to come back is a
	// refusal.
	h.Sessions = slices.DeleteFunc(h.Sessions, func(s contract.Session) bool {
		return s.Asked != "" && s.Resume == "" && len(s.Seen) == 0 && s.Torn == ""
	})
	for _, v := range contract.Check(splitAtEpochs(h)) {
		// What was lost with an epoch, and is sent again by a publisher who had
		// no answer, is new in the next one, where the checker takes it for old.
		if v.Rule == contract.RealTime && len(epochsOf(h)) > 1 {
			continue
		}
		c.t.Error(v)
	}
	return h
}

// splitAtEpochs makes two sessions of one in which another epoch begins: what is
// published again there is another event for the client.
func splitAtEpochs(h contract.History) contract.History {
	var sessions []contract.Session
	for _, s := range h.Sessions {
		for i := len(s.Seen) - 1; i > 0; i-- {
			if m := s.Seen[i]; m.Kind == contract.Gap && m.Reason == "epoch-changed" {
				rest := s
				rest.Asked, rest.AskedID, rest.Resume, rest.Seen = "", "", "", s.Seen[i:]
				sessions = append(sessions, rest)
				s.Seen, s.Last, s.Torn = s.Seen[:i], false, ""
			}
		}
		sessions = append(sessions, s)
	}
	h.Sessions = sessions
	return h
}

// tally is what a history comes to.
type tally struct {
	acked, unknown, duplicates, messages, resumed int
	gaps                                          map[string]int // by reason, told in streams
}

func count(h contract.History) tally {
	n := tally{gaps: map[string]int{}}
	for _, a := range h.Attempts {
		switch {
		case a.Outcome == contract.Unknown:
			n.unknown++
		case a.Outcome == contract.Acked && a.Duplicate:
			n.duplicates++
		case a.Outcome == contract.Acked:
			n.acked++
		}
	}
	for _, s := range h.Sessions {
		if s.Resume == "complete" {
			n.resumed++
		}
		for _, m := range s.Seen {
			switch m.Kind {
			case contract.Message:
				n.messages++
			case contract.Gap:
				n.gaps[m.Reason]++
			}
		}
	}
	return n
}

func (n tally) String() string {
	return fmt.Sprintf("%d acknowledged, %d of unknown outcome, %d known as duplicates; %d messages seen, %d sessions resumed; gaps %v",
		n.acked, n.unknown, n.duplicates, n.messages, n.resumed, n.gaps)
}

// redisClient speaks to a Redis as the app does.
func redisClient(t *testing.T, address string) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{address}, ForceSingleClient: true, DisableCache: true, ConnWriteTimeout: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// tell runs one command.
func tell(t *testing.T, c rueidis.Client, words ...string) rueidis.RedisResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r := c.Do(ctx, c.B().Arbitrary(words...).Build())
	if err := r.Error(); err != nil && !rueidis.IsRedisNil(err) {
		t.Fatalf("%s: %v", words[0], err)
	}
	return r
}

// hook sends a webhook once and gives the answer; nil if there is none.
func (s *server) hook(channel, id, body string) *http.Response {
	s.t.Helper()
	client := http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	r, err := client.Post(s.url+"/hook", "application/json",
		strings.NewReader(fmt.Sprintf(`{"channel":%q,"id":%q,"body":%q}`, channel, id, body)))
	if err != nil {
		return nil
	}
	io.Copy(io.Discard, r.Body)
	r.Body.Close()
	return r
}

// A revocation at one node reaches the streams of the others, long before the
// next regular re-check.
func TestRevocationReachesAllNodes(t *testing.T) {
	const secret = "the-secret-of-revocation-is-long"
	address := "redis://" + redistest.Start(t).Addr
	b := newBackend(t)
	site := strings.Replace(b.directives(fmt.Sprintf(`drain 200ms
		history {
			store redis %s {
				durable
			}
		}
		revoke /hooks/revoke {
			secret %s
		}`, address, secret)), "user  json user_id", "user  json user_id\n recheck 10m\n cache 10m", 1)
	nodes := startNodes(t, 2, site)
	b.decide("ann-token", "", verdict{status: 200, body: `{"user_id":"ann"}`})
	b.decide("bob-token", "", verdict{status: 200, body: `{"user_id":"bob"}`})
	anns := nodes[1].open("/room/1/live.json", basic("ann-token"))
	bobs := nodes[1].open("/room/1/live.json", basic("bob-token"))
	b.decide("ann-token", "", verdict{status: 403})
	b.decide("bob-token", "", verdict{status: 403}) // nobody has said so
	req, err := http.NewRequest("POST", nodes[0].url+"/hooks/revoke", strings.NewReader(`{"user":"ann"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	if status, _ := do(t, req); status != 204 {
		t.Errorf("the revocation: %d", status)
	}
	anns.rest() // an error is the stream's end as well
	if st := nodes[1].open("/room/1/live.json", basic("ann-token")); st.status != 403 {
		t.Errorf("a new stream of hers: %d", st.status)
	}
	nodes[0].publish("1", 1, "still here")
	bobs.until("still here")
}
