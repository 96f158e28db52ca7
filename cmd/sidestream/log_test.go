package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log/file"
)

func runLog(args ...string) (string, error) {
	var out bytes.Buffer
	cmd := logCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.Execute()
	return out.String(), err
}

func TestLogCommand(t *testing.T) {
	path := t.TempDir() + "/log.db"
	f, err := file.Open(path, file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Append([]event.Event{
		{Channel: event.String("acme/main"), ID: event.Number("5"), Body: "<hi>", Payload: []byte(`{"n":1e400,"body":"<hi>"}`)},
		{Channel: event.Number("2"), ID: event.String("x"), Body: "\x1b[31m"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := runLog(path); err == nil || !strings.Contains(out, "stop the server") {
		t.Errorf("while a server runs: %v, %s", err, out)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := runLog(path)
	if err != nil || !strings.Contains(out, "events    2 in 2 channels") || !strings.Contains(out, `"acme/main"`) {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := runLog(path, "--channel", "2"); err != nil || strings.Contains(out, "acme") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := runLog(path, "--verify"); err != nil || out != "the log is whole\n" {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = runLog(path, "--export")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err != nil || len(lines) != 2 || !strings.Contains(lines[0], `"payload":{"n":1e400,"body":"<hi>"}`) || strings.Contains(out, "\x1b") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, line := range lines {
		var entry map[string]any
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.UseNumber()
		if err := decoder.Decode(&entry); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if _, err := event.ParseCursor(entry["position"].(string)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if out, err := runLog(path, "--export", "--channel", "2"); err != nil || strings.Count(out, "\n") != 1 {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := runLog(path, "--export", "--channel", "acme"); err != nil || !strings.Contains(out, `no channel "acme"`) {
		t.Errorf("%v\n%s", err, out)
	}
	for _, args := range [][]string{{}, {path, "--verify", "--export"}, {path + "none"}} {
		if out, err := runLog(args...); err == nil {
			t.Errorf("%v: %s", args, out)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(b, []byte("<hi>"), []byte("<ho>"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := runLog(path, "--verify"); err == nil || !strings.Contains(out, "damaged") {
		t.Errorf("a damaged file: %v\n%s", err, out)
	}
}
