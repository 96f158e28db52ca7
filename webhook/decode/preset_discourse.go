package decode

// discoursePreset is a webhook of Discourse for chat messages
// (app/services/web_hook_emitter.rb, plugins/chat). The body is JSON even when
// it is labelled as a form. Edits carry no time, so the delivery's id tells them
// apart: a delivery that is sent again repeats the edit, which changes nothing.
var discoursePreset = preset{
	name:   "discourse",
	sender: Sender{Scheme: "discourse", Answer: emptyJSON, NeverRetries: true},
	format: JSON,
	rules: []MapRule{
		{Field: "channel", Value: "{json.chat_message.message.chat_channel_id ?? json.chat_message.channel.id}"},
		{Field: "id", Value: "{json.chat_message.message.id}"},
		{Field: "user", Value: "{json.chat_message.message.user.id}"},
		{Field: "user_name", Value: "{json.chat_message.message.user.username}"},
		{Field: "time", Value: "{json.chat_message.message.created_at}"},
		{Field: "body", Value: "{json.chat_message.message.message}"},
		{Field: "files", Value: "{json.chat_message.message.uploads}"},
		{Field: "op", Value: "delete", When: "{header.X-Discourse-Event} == chat_message_trashed"},
		{Field: "op", Value: "edit", When: discourseChanged},
		{Field: "version", Value: "{header.X-Discourse-Event-Id}", When: discourseChanged},
		{Field: "version", Value: "{header.X-Discourse-Event-Id}", When: "{header.X-Discourse-Event} == chat_message_trashed"},
	},
	drop: []string{
		"{header.X-Discourse-Event} == ping",
		"{json.chat_message.message.id} not exists",
	},
}

const discourseChanged = "{header.X-Discourse-Event} in chat_message_edited chat_message_restored"
