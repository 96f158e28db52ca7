package webhook

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Payloads in the shapes of real apps that have no preset, or that are odd for
// their preset, with the rules that a team would write for them.
func TestPayloadsOfRealApps(t *testing.T) {
	var got bytes.Buffer
	for _, c := range []struct {
		file    string
		options []string
		headers []string
	}{
		{"basecamp_chatbot.json", []string{`map channel {json.callback_url|re:/chats/(\d+)/}`, "map id hash", "map user {json.creator.id}", "map user_name {json.creator.name}", "map body {json.command}"}, nil},
		{"bitrix.form", []string{"verify token field {form.auth[application_token]}", "map channel {form.data[PARAMS][DIALOG_ID]}", "map id {form.data[PARAMS][MESSAGE_ID]}",
			"map user {form.data[PARAMS][FROM_USER_ID]}", "map time {form.ts}", "map body {form.data[PARAMS][MESSAGE]}", "drop {form.event} != ONIMBOTMESSAGEADD"}, nil},
		{"chatwoot.json", []string{"map channel {json.conversation.id}", "map id {json.id}", "map user {json.sender.id}", "map user_name {json.sender.name}", "map time {json.created_at}", "map body {json.content}", "drop {json.private} == true"}, nil},
		{"github.json", []string{"preset github"}, []string{"X-GitHub-Delivery", "d1", "X-GitHub-Event", "issue_comment"}},
		{"gitlab_note.json", []string{"map channel {json.project.path_with_namespace}", "map id {json.object_attributes.id}", "map user {json.user.id}", "map user_name {json.user.name}", "map time {json.object_attributes.created_at}", "map body {json.object_attributes.note}"}, nil},
		{"livechat.json", []string{"each {json.messages}", "map channel {item.rid}", "map id {item._id}", "map user {item.u._id}", "map user_name {item.name}", "map time {item.ts}", "map body {item.msg}"}, nil},
		{"slack_file.json", []string{"preset slack_events"}, nil},
		{"talk.json", []string{"map channel {json.target.id}", "map id {json.object.id}", "map user {json.actor.id|last:/}", "map user_name {json.actor.name}", "map body {json.object.content|json:message}"}, nil},
		{"teams.json", []string{"map channel {json.conversation.id}", "map id {json.id}", "map user {json.from.id}", "map user_name {json.from.name}", "map time {json.timestamp}", "map body {json.text|html_text}"}, nil},
		{"telegram.json", []string{"map channel {json.message.chat.id ?? json.edited_message.chat.id}", "map id {json.message.message_id ?? json.edited_message.message_id}", "map user {json.message.from.id ?? json.edited_message.from.id}",
			"map time {json.message.date ?? json.edited_message.date}", "map body {json.message.text ?? json.edited_message.text}", "map op edit when {json.edited_message} exists", "map version {json.edited_message.edit_date}"}, nil},
		{"telegram_edit.json", []string{"map channel {json.message.chat.id ?? json.edited_message.chat.id}", "map id {json.message.message_id ?? json.edited_message.message_id}", "map user {json.message.from.id ?? json.edited_message.from.id}",
			"map time {json.message.date ?? json.edited_message.date}", "map body {json.message.text ?? json.edited_message.text}", "map op edit when {json.edited_message} exists", "map version {json.edited_message.edit_date}"}, nil},
	} {
		body, err := os.ReadFile(filepath.Join("testdata", "payloads", c.file))
		if err != nil {
			t.Fatal(err)
		}
		cfg := Config{}
		for _, line := range c.options {
			words := strings.Split(line, " ")
			if err := cfg.Option(words[0], words[1:]); err != nil {
				t.Fatalf("%s: %s: %v", c.file, line, err)
			}
		}
		if cfg.Verify == nil {
			cfg.Verify = &Verify{Scheme: "none"}
		} else {
			cfg.Secrets = []string{"bitrixtoken"}
		}
		r := httptest.NewRequest(http.MethodPost, "/hook", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if strings.HasSuffix(c.file, ".form") {
			r.Header.Set("Content-Type", formType)
		}
		for i := 0; i+1 < len(c.headers); i += 2 {
			r.Header.Set(c.headers[i], c.headers[i+1])
		}
		pub := new(memory)
		_, out := serve(mustNew(t, cfg), r, nil, pub)
		fmt.Fprintf(&got, "== %s\nevents=%d dropped=%d unmapped=%d untimed=%d %s\n", c.file, out.Events, out.Dropped, out.Unmapped, out.Untimed, out.Reason)
		for _, e := range pub.events {
			got.WriteString(eventText(&e))
		}
	}
	golden(t, "payloads.golden", got.Bytes())
}
