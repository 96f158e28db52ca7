package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// deployFile is a file of cmd/sidestream/deploy.
func deployFile(t *testing.T, name string) (path, text string) {
	t.Helper()
	path = filepath.Join(repository(t), "cmd/sidestream/deploy", name)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, string(b)
}

// promtool runs Prometheus's own checker.
func promtool(t *testing.T, in string, args ...string) {
	t.Helper()
	tool(t, "promtool", "prometheus")
	cmd := exec.Command("promtool", args...)
	cmd.Stdin = strings.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %q: %v: %s", args, err, out)
	}
}

// Metrics are as Prometheus wants them; alerts fire when they should, and not when all
// is well; and every metric that an alert or the dashboard uses is one that a running
// server has.
func TestDashboardAndAlerts(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	s := start(t, b.directives("history {\n store memory\n}\nredis redis://127.0.0.1:1/0 {\n subscribe x\n preset socketio\n}"))
	s.publish("1", 1, "hello")
	s.post("/hooks/own", []byte(`{"channel":"","id":2,"text":"nowhere"}`))
	s.open("/room/1/live.json", basic("nobody")).conn.Close()
	st := s.open("/room/1/live.json", basic(goodToken))
	s.publish("1", 3, "again")
	st.until("again")
	var ours strings.Builder
	for line := range strings.Lines(s.admin(t, "/metrics")) {
		if strings.Contains(line, "caddy_sidestream_") {
			ours.WriteString(line)
		}
	}
	promtool(t, ours.String(), "check", "metrics")
	has := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(ours.String(), -1) {
		has[found[1]] = true
	}
	// What comes with the first message that cannot be mapped, or the first limit.
	later := []string{"redis_unmapped_total", "streams_refused_total"}
	for _, name := range later {
		has["caddy_sidestream_"+name] = true
	}

	rules, alerts := deployFile(t, "alerts.yaml")
	test, _ := deployFile(t, "alerts_test.yaml")
	promtool(t, "", "check", "rules", rules)
	promtool(t, "", "test", "rules", test)
	_, text := deployFile(t, "dashboard.json")
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(text), &dashboard); err != nil {
		t.Fatal(err)
	}
	var recorded strings.Builder
	recorded.WriteString("groups:\n- name: panels\n  rules:\n")
	n := 0
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			fmt.Fprintf(&recorded, "  - record: panel:%d\n    expr: '%s'\n", n, strings.ReplaceAll(target.Expr, "$hub", ".*"))
			n++
		}
	}
	if n < 30 {
		t.Errorf("only %d lines in the dashboard", n)
	}
	panels := filepath.Join(t.TempDir(), "panels.yaml")
	if err := os.WriteFile(panels, []byte(recorded.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", panels)
	used := regexp.MustCompile(`caddy_sidestream_[a-z_]+`).FindAllString(alerts+text, -1)
	if len(used) < 40 {
		t.Errorf("only %d uses of metrics found", len(used))
	}
	for _, name := range used {
		if !has[strings.TrimSuffix(name, "_bucket")] {
			t.Errorf("no server has the metric %s", name)
		}
	}
	if cures := strings.Count(alerts, "cure:"); cures != strings.Count(alerts, "- alert:") {
		t.Errorf("%d of the alerts say what to do", cures)
	}
}

// What may fail without the network comes before the builds, which take minutes, and the
// checksums are those of all files.
func TestReleaseFailsEarly(t *testing.T) {
	t.Parallel()
	tool(t, "make", "make")
	cmd := exec.Command("make", "-n", "release", "VERSION=v1.2.3")
	cmd.Dir, cmd.Env = repository(t), append(os.Environ(), "MAKEFLAGS=") // of the make that may run this test
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	at := 0
	for _, step := range []string{"rm -rf dist", "sidestream-v1.2.3.cdx.json", "build -trimpath", "sha256sum * >SHA256SUMS"} {
		i := strings.Index(string(out)[at:], step)
		if i < 0 {
			t.Fatalf("%q does not come in its turn: %s", step, out)
		}
		at += i
	}
}

// The files for systemd and Compose fit the configurations that they are for.
func TestDeployFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"node.Caddyfile", "balancer.Caddyfile"} {
		_, text := deployFile(t, name)
		s := &server{t: t, folder: t.TempDir()}
		text = strings.ReplaceAll(text, "{$HOOK_SECRET}", hookSecret)
		if err := os.WriteFile(s.caddyfile(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := s.sidestream("validate", "--config", s.caddyfile(), "--adapter", "caddyfile"); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
	_, unit := deployFile(t, "sidestream.service")
	stop := regexp.MustCompile(`TimeoutStopSec=(\S+)`).FindStringSubmatch(unit)
	_, node := deployFile(t, "node.Caddyfile")
	_, compose := deployFile(t, "compose.yaml")
	grace := regexp.MustCompile(`grace_period (\S+)`).FindStringSubmatch(node)
	drain := regexp.MustCompile(`drain (\S+)`).FindStringSubmatch(node)
	composed := regexp.MustCompile(`stop_grace_period: (\S+)`).FindStringSubmatch(compose)
	if stop == nil || grace == nil || drain == nil || composed == nil {
		t.Fatal("a time is missing")
	}
	times := make([]time.Duration, 4)
	for i, text := range []string{stop[1], composed[1], grace[1], drain[1]} {
		var err error
		if times[i], err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	// closeWait, the most that the history may take to close, is 30 s.
	if need := times[2] + times[3] + 30*time.Second; times[0] < need || times[1] < need {
		t.Errorf("systemd waits %v and Compose %v; the end may take %v", times[0], times[1], need)
	}
	for _, mounted := range regexp.MustCompile(`\./([a-z]+\.Caddyfile)`).FindAllStringSubmatch(compose, -1) {
		deployFile(t, mounted[1])
	}
	if strings.Contains(unit, "User=root") || !strings.Contains(unit, "LimitNOFILE=") {
		t.Error("the unit runs as root, or with few file descriptors")
	}
	dockerfile, err := os.ReadFile(filepath.Join(repository(t), "xcaddy.Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nUSER ", "\nHEALTHCHECK ", "\nVOLUME "} {
		if !strings.Contains(string(dockerfile), want) {
			t.Errorf("the image has no%s", want)
		}
	}
}
