package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// explainedSite is one site, and a request to it. STREAM stands for a sidestream
// directive, APP for the app's address, PORTAL for that of a server that lets in
// whoever has the header "Portal: open".
type explainedSite struct {
	name, site string
	snippets   string // in front of all sites
	target     string
	headers    []string
	// verdict is what must come out: stream or refused.
	verdict string
}

const room = "/room/1/live.json"

// hashedX is the password x, as basic_auth wants it.
const hashedX = "$2a$04$pBTQ5abmN1zccuaGQELIYev2./jq7XQ69NgaHwivfomYie41cV1o."

func explainedSites() []explainedSite {
	login := "basic_auth {\n" + goodToken + " " + hashedX + "\n}\n"
	portal := "forward_auth PORTAL {\n uri /verify\n copy_headers Remote-User\n}\n"
	open := []string{"Portal: open"}
	return []explainedSite{
		{name: "plain", site: "STREAM\nreverse_proxy APP", verdict: "stream"},
		{name: "the app's own", site: "STREAM\nreverse_proxy APP", target: "/room/1", verdict: "refused"},
		{name: "denied", site: "STREAM\nreverse_proxy APP", target: "/room/shut/live.json", verdict: "refused"},

		{name: "forward_auth lets in", site: portal + "STREAM\nreverse_proxy APP", headers: open, verdict: "stream"},
		{name: "forward_auth refuses", site: portal + "STREAM\nreverse_proxy APP", verdict: "refused"},
		{name: "forward_auth in a route", site: "route {\n" + portal + "STREAM\nreverse_proxy APP\n}", headers: open, verdict: "stream"},
		{name: "forward_auth for other paths", site: strings.Replace(portal, "PORTAL", "/admin/* PORTAL", 1) + "STREAM\nreverse_proxy APP", verdict: "stream"},
		{name: "forward_auth is down", site: strings.Replace(portal, "PORTAL", "127.0.0.1:1", 1) + "STREAM\nreverse_proxy APP", headers: open, verdict: "refused"},
		{name: "handle_response", site: "route {\nreverse_proxy PORTAL {\n@ok status 200\nhandle_response @ok {\nSTREAM\n}\n}\n}", headers: open, verdict: "stream"},
		{name: "handle_response, not that one", site: "route {\nreverse_proxy PORTAL {\n@ok status 200\nhandle_response @ok {\nSTREAM\n}\n}\n}", verdict: "refused"},

		{name: "behind reverse_proxy", site: "route {\nreverse_proxy APP\nSTREAM\n}", verdict: "refused"},
		{name: "beside the handle", site: "handle {\nreverse_proxy APP\n}\nSTREAM", verdict: "refused"},
		{name: "in the handle", site: "handle /room/* {\nSTREAM\n}\nhandle {\nreverse_proxy APP\n}", verdict: "stream"},
		{name: "in the other handle", site: "handle /flows* {\nSTREAM\n}\nhandle {\nreverse_proxy APP\n}", verdict: "refused"},
		{name: "handle_path", site: "handle_path /stream/* {\nSTREAM\nreverse_proxy APP\n}\nreverse_proxy APP", target: "/stream" + room, verdict: "stream"},
		{name: "not under handle_path", site: "handle_path /stream/* {\nSTREAM\nreverse_proxy APP\n}\nreverse_proxy APP", verdict: "refused"},
		{name: "uri strip_prefix", site: "uri /x/* strip_prefix /x\nSTREAM\nreverse_proxy APP", target: "/x" + room, verdict: "stream"},
		{name: "uri replace", site: "uri replace /chat/ /room/\nSTREAM\nreverse_proxy APP", target: "/chat/1/live.json", verdict: "stream"},
		{name: "rewrite", site: "rewrite /listen /room/1/live.json\nSTREAM\nreverse_proxy APP", target: "/listen", verdict: "stream"},
		{name: "rewrite away", site: "rewrite /room/* /elsewhere\nSTREAM\nreverse_proxy APP", verdict: "refused"},
		{name: "try_files", site: "root FOLDER\ntry_files {path} {path}/live.json\nSTREAM\nreverse_proxy APP", target: "/room/1", verdict: "refused"},
		{name: "try_files finds it", site: "root FOLDER\ntry_files /Caddyfile\nrewrite /Caddyfile /room/1/live.json\nSTREAM\nreverse_proxy APP", target: "/anything", verdict: "refused"},
		{name: "php_fastcgi in front", site: "route {\nroot FOLDER\nphp_fastcgi 127.0.0.1:1\nSTREAM\n}", verdict: "refused"},
		{name: "php_fastcgi behind", site: "root FOLDER\nSTREAM\nphp_fastcgi 127.0.0.1:1", verdict: "stream"},

		{name: "matcher that holds", site: "@bot header X-Bot yes\nSTREAM[@bot]\nreverse_proxy APP", headers: []string{"X-Bot: yes"}, verdict: "stream"},
		{name: "matcher that does not", site: "@bot header X-Bot yes\nSTREAM[@bot]\nreverse_proxy APP", verdict: "refused"},
		{name: "expression", site: "@r `path('/room/*') && method('GET')`\nhandle @r {\nSTREAM\n}\nrespond 404", verdict: "stream"},
		{name: "not remote_ip", site: "@far not remote_ip 127.0.0.1 ::1\nabort @far\nSTREAM\nreverse_proxy APP", verdict: "stream"},
		{name: "remote_ip", site: "@near remote_ip 127.0.0.1 ::1\nabort @near\nSTREAM\nreverse_proxy APP", verdict: "refused"},
		{name: "vars", site: "vars stream yes\n@s vars stream yes\nSTREAM[@s]\nreverse_proxy APP", verdict: "stream"},
		{name: "map", site: "map {path} {target} {\n~^/listen/(.*)$ /room/${1}/live.json\ndefault /\n}\nrewrite {target}\nSTREAM\nreverse_proxy APP", target: "/listen/1", verdict: "stream"},

		{name: "snippet", snippets: "(streams) {\nSTREAM\n}", site: "import streams\nreverse_proxy APP", verdict: "stream"},
		{name: "named route", snippets: "&(streams) {\nSTREAM\n}", site: "invoke streams\nreverse_proxy APP", verdict: "stream"},
		{name: "named route with more", snippets: "&(listen) {\nrewrite /listen /room/1/live.json\nSTREAM\n}", site: "invoke listen\nreverse_proxy APP", target: "/listen", verdict: "stream"},
		{name: "handle_errors", site: "error /room/* 404\nreverse_proxy APP\nhandle_errors {\nSTREAM\n}", verdict: "stream"},
		{name: "handle_errors for others", site: "error /room/* 404\nreverse_proxy APP\nhandle_errors 500 {\nSTREAM\n}", verdict: "refused"},

		{name: "abort", site: "abort /room/*\nSTREAM\nreverse_proxy APP", verdict: "refused"},
		{name: "redir", site: "redir /room/* https://elsewhere.test{uri}\nSTREAM\nreverse_proxy APP", verdict: "refused"},
		{name: "respond", site: "respond /room/* \"closed\" 403\nSTREAM\nreverse_proxy APP", verdict: "refused"},
		{name: "error", site: "error /room/* 403\nSTREAM\nreverse_proxy APP", verdict: "refused"},
		{name: "method", site: "method /room/* POST\nSTREAM\nreverse_proxy APP", verdict: "refused"},
		{name: "file_server in front", site: "route {\nfile_server {\nroot FOLDER\n}\nSTREAM\n}", verdict: "refused"},
		{name: "file_server that passes on", site: "route {\nfile_server {\nroot FOLDER\npass_thru\n}\nSTREAM\n}", verdict: "stream"},

		{name: "password", site: login + "STREAM\nreverse_proxy APP", verdict: "stream"},
		{name: "wrong password", site: strings.Replace(login, goodToken, "somebody", 1) + "STREAM\nreverse_proxy APP", verdict: "refused"},
		{name: "header taken away", site: "request_header -Authorization\nSTREAM\nreverse_proxy APP", verdict: "refused"},
		{name: "header put in", site: "request_header Authorization \"Bearer " + goodToken + "\"\nSTREAM\nreverse_proxy APP", headers: []string{"Authorization: Bearer other"}, verdict: "stream"},
		{name: "wrappers", site: "encode gzip\ntemplates\nheader X-Ours yes\nrequest_body {\nmax_size 1MB\n}\nlog_skip\nSTREAM\nreverse_proxy APP", verdict: "stream"},
		{name: "intercept", site: "intercept {\n@no status 403\nhandle_response @no {\nrespond \"no\" 404\n}\n}\nSTREAM\nreverse_proxy APP", target: "/room/shut/live.json", verdict: "refused"},
		{name: "a list that has it", site: "LIST\nreverse_proxy APP", verdict: "stream"},
		{name: "a list that does not have it", site: "LIST\nreverse_proxy APP", target: "/room/2/live.json", verdict: "refused"},
	}
}

// What explain says of a site is what the server does with the request.
func TestExplainSaysWhatTheServerDoes(t *testing.T) {
	b := newBackend(t)
	b.decide("", "shut", verdict{status: 403})
	b.decide(goodToken, "shut", verdict{status: 403})
	b.decide(goodToken, "list", verdict{status: 200, body: `{"rooms":[1,3]}`})
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Portal") != "open" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(portal.Close)
	s := &server{t: t, folder: t.TempDir(), port: freePort(t)}
	s.url = "http://127.0.0.1:" + s.port
	var file strings.Builder
	fmt.Fprintf(&file, "{\n\tadmin unix/%s/admin.sock\n\tpersist_config off\n\tskip_install_trust\n}\n", s.folder)
	sites := explainedSites()
	for i, c := range sites {
		fill := func(text, part string) string {
			directive := func(matcher, auth string) string {
				return fmt.Sprintf("sidestream %s %s {\nhub h%d%s\nhistory {\nstore memory\n}\n%s\n}", matcher, b.address(), i, part, auth)
			}
			const ask = "auth GET /may/{channel} {\nallow json user_id exists\n}"
			text = strings.ReplaceAll(text, "STREAM[@bot]", directive("@bot", ask))
			text = strings.ReplaceAll(text, "STREAM[@s]", directive("@s", ask))
			return strings.NewReplacer("STREAM", directive("", ask), "LIST", directive("", "auth GET /may/list {\nlist json rooms.*\n}"),
				"APP", b.address(), "PORTAL", strings.TrimPrefix(portal.URL, "http://"), "FOLDER", s.folder).Replace(text)
		}
		if c.snippets != "" {
			snippets := strings.NewReplacer("(streams)", fmt.Sprintf("(streams%d)", i), "(listen)", fmt.Sprintf("(listen%d)", i)).Replace(c.snippets)
			file.WriteString(fill(snippets, "") + "\n")
			c.site = strings.NewReplacer("import streams", fmt.Sprintf("import streams%d", i), "invoke streams", fmt.Sprintf("invoke streams%d", i),
				"invoke listen", fmt.Sprintf("invoke listen%d", i)).Replace(c.site)
		}
		fmt.Fprintf(&file, "http://case%d.test:%s {\nbind 127.0.0.1\n%s\n}\n", i, s.port, fill(c.site, ""))
	}
	if err := os.WriteFile(s.caddyfile(), []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.begin()
	for i, c := range sites {
		t.Run(c.name, func(t *testing.T) {
			if c.target == "" {
				c.target = room
			}
			headers := c.headers
			if !strings.Contains(strings.Join(headers, "\n"), "Authorization") {
				headers = append(headers, basic(goodToken))
			}
			host := fmt.Sprintf("case%d.test:%s", i, s.port)
			served := "refused"
			if s.opens(host, c.target, headers) {
				served = "stream"
			}
			if served != c.verdict {
				t.Errorf("the server: %s, want %s", served, c.verdict)
			}
			args := []string{"explain", "--config", s.caddyfile(), "http://" + host + c.target}
			for _, h := range headers {
				args = append(args, "-H", h)
			}
			cmd := exec.Command(command(t), args...)
			cmd.Env, cmd.Dir = append(os.Environ(), s.env()...), s.folder
			out, err := cmd.CombinedOutput()
			code := 0
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				code = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if said := []string{"stream", "refused", "unsure"}[code]; said != served {
				t.Errorf("explain: %s, and the server: %s\n%s", said, served, out)
			}
		})
	}
}

// opens tells whether the server opens a stream. An answer may also be that the
// connection is cut.
func (s *server) opens(host, target string, headers []string) bool {
	s.t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	request := "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return false
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	return err == nil && resp.StatusCode == http.StatusOK && resp.Header.Get("X-Accel-Buffering") == "no"
}
