package decode

// campfirePreset is once-campfire (basecamp/once-campfire, app/models/webhook.rb).
// It signs nothing, so the secret is a part of the URL. Whatever has a
// Content-Type in an answer, it posts into the room: the only good answer is
// 204 without one. The payload holds the bot's key in room.path.
var campfirePreset = preset{
	name:    "campfire",
	sender:  Sender{Scheme: "path", Answer: &Answer{Status: 204}, NeverRetries: true},
	format:  JSON,
	secrets: []string{"room.path"},
	rules: []MapRule{
		{Field: "channel", Value: "{json.room.id}"},
		{Field: "id", Value: "{json.message.id}"},
		{Field: "user", Value: "{json.user.id}"},
		{Field: "user_name", Value: "{json.user.name}"},
		{Field: "body", Value: "{json.message.body.plain}"},
	},
}
