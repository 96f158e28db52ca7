package decode

import "github.com/seed-078801ba/sidestream/stream/event"

// flowdockPreset is for backends that post messages in Flowdock's schema
// (flowdock/api-docs docs/messages.md), one or an array of them. They are passed
// on whole. Kinds of messages that Campfire has no word for keep Flowdock's as
// their type, so that Campfire's clients can pass over them.
var flowdockPreset = preset{
	name:   "flowdock",
	format: JSON,
	each:   "{json}",
	rules: []MapRule{
		{Field: "channel", Value: "{item.flow}"},
		{Field: "to", Value: "{item.to}", When: "{item.flow} not exists"},
		{Field: "id", Value: "{item.content.message}", When: "{item.event} in message-edit message-delete"},
		{Field: "id", Value: "{item.id}"},
		{Field: "version", Value: "{item.id}", When: "{item.event} in message-edit message-delete"},
		{Field: "op", Value: "edit", When: "{item.event} == message-edit"},
		{Field: "op", Value: "delete", When: "{item.event} == message-delete"},
		{Field: "user", Value: "{item.user}", When: "{item.user} != 0"}, // "0" is nobody
		{Field: "user_name", Value: "{item.external_user_name}"},
		{Field: "time", Value: "{item.sent ?? item.created_at}"},
		{Field: "type", Value: "UploadMessage", When: "{item.event} == file"},
		{Field: "type", Value: "{item.event}", When: "{item.event} not in message line comment message-edit message-delete"},
		{Field: "body", Value: "{item.content.updated_content}", When: "{item.event} == message-edit"},
		{Field: "body", Value: "{item.content.text}", When: "{item.event} == comment"},
		{Field: "body", Value: "{item.content.file_name}", When: "{item.event} == file"},
		{Field: "body", Value: "{item.content}", When: "{item.event} in message line status"},
	},
	whole:     event.Flowdock,
	anonymous: true,
}
