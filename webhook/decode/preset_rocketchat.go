package decode

// rocketchatPreset is an outgoing integration of Rocket.Chat
// (app/integrations/server/lib/triggerHandler.ts). An edit carries no time of
// its own, so its text tells edits apart. Events about rooms and users carry
// no message and are dropped. An empty answer counts as a failure.
var rocketchatPreset = preset{
	name:    "rocketchat",
	sender:  Sender{Scheme: "token", Answer: emptyJSON, NeverRetries: true},
	format:  JSON,
	secrets: []string{"token"},
	rules: []MapRule{
		{Field: "channel", Value: "{json.channel_id}"},
		{Field: "id", Value: "{json.message_id}"},
		{Field: "user", Value: "{json.user_id}"},
		{Field: "user_name", Value: "{json.user_name}"},
		{Field: "time", Value: "{json.timestamp}"},
		{Field: "body", Value: "{json.text}"},
		{Field: "files", Value: "{json.message.attachments ?? json.message.files ?? json.message.file}"},
		{Field: "thread", Value: "{json.tmid}"},
		{Field: "op", Value: "edit", When: "{json.isEdited} == true"},
		{Field: "version", Value: hashWord, When: "{json.isEdited} == true"},
	},
	drop: []string{"{json.message_id} not exists"},
}
