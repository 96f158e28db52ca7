package tap

import "github.com/seed-078801ba/sidestream/webhook/decode"

// flowdockPreset is the REST API of Flowdock (flowdock/api-docs docs/messages.md,
// docs/private-conversations.md), whose answers are messages.
var flowdockPreset = preset{
	name: "flowdock",
	rules: []Rule{
		flowdockRule(post, "/flows/{org}/{flow}/messages", created, is("channel", "{item.flow}"), is("channel", "{path.org}/{path.flow}", "{item.to} not exists")),
		flowdockRule(post, "/flows/{org}/{flow}/messages/{message}/comments", created, is("channel", "{item.flow}"), is("channel", "{path.org}/{path.flow}", "{item.to} not exists")),
		flowdockRule(post, "/messages", created),
		flowdockRule(post, "/comments", created),
		flowdockRule(post, "/private/{user}/messages", created),
		on(remove, "/flows/{org}/{flow}/messages/{id}", ok, flowdockDeletion),
		on(remove, "/flows/{org}/{flow}/messages/{id}", empty, flowdockDeletion),
		{Method: put, Path: "/flows/{org}/{flow}/messages/{id}", Statuses: []int{ok}, Poke: "{path.org}/{path.flow}"},
	},
}

var flowdockDeletion = mapped(is("channel", "{path.org}/{path.flow}"), is("id", "{path.id|number}"), is("op", "delete"))

// flowdockRule is for an answer that is a message. The id must be there: otherwise it
// is an answer of another kind.
func flowdockRule(method, path string, status int, rules ...decode.MapRule) Rule {
	return Rule{
		Method: method, Path: path, Statuses: []int{status}, When: "{res.id} exists and {res.event} exists", Fields: flowdockFields,
		Config: decode.Config{Preset: "flowdock", Each: "{res}", Map: rules},
	}
}

var flowdockFields = []string{
	"id", "event", "flow", "to", "user", "external_user_name", "content", "sent", "created_at", "edited", "tags", "uuid", "thread_id", "app", "attachments",
}
