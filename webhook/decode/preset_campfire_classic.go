package decode

import "github.com/seed-078801ba/sidestream/stream/event"

// campfireClassicPreset is for backends that post messages in the schema of the
// old Campfire API (basecamp/campfire-api sections/messages.md): one message,
// {"message":{...}}, or {"messages":[...]}. They are passed on whole.
var campfireClassicPreset = preset{
	name:   "campfire_classic",
	format: JSON,
	each:   "{json.messages ?? json.message ?? json}",
	rules: []MapRule{
		{Field: "channel", Value: "{item.room_id}"},
		{Field: "id", Value: "{item.id}"},
		{Field: "user", Value: "{item.user_id}"},
		{Field: "time", Value: "{item.created_at}"},
		{Field: "type", Value: "{item.type}"},
		{Field: "body", Value: "{item.body}"},
	},
	revoke: []RevokeRule{
		{User: "{item.user_id}", Channel: "{item.room_id}", When: "{item.type} in KickMessage LeaveMessage"},
	},
	whole:     event.Campfire,
	anonymous: true,
}
