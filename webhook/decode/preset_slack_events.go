package decode

// slackEventsPreset is Slack's Events API (api.slack.com/apis/events-api). A
// message's id is its ts, because that is what edits and deletions name; the
// event's own time tells several edits apart.
var slackEventsPreset = preset{
	name:    "slack_events",
	sender:  Sender{Scheme: "slack", Answer: emptyJSON, Protocol: SlackChallenge},
	format:  JSON,
	secrets: []string{"token"},
	rules: []MapRule{
		{Field: "channel", Value: "{json.event.channel}"},
		{Field: "id", Value: "{json.event.message.ts}", When: slackChanged},
		{Field: "id", Value: "{json.event.deleted_ts}", When: slackDeleted},
		{Field: "id", Value: "{json.event.ts}"},
		{Field: "version", Value: "{json.event.event_ts ?? json.event_id}", When: "{json.event.subtype} in message_changed message_deleted"},
		{Field: "op", Value: "edit", When: slackChanged},
		{Field: "op", Value: "delete", When: slackDeleted},
		{Field: "user", Value: "{json.event.message.user ?? json.event.message.bot_id}", When: slackChanged},
		{Field: "user", Value: "{json.event.previous_message.user ?? json.event.previous_message.bot_id}", When: slackDeleted},
		{Field: "user", Value: "{json.event.user ?? json.event.bot_id}"},
		{Field: "user_name", Value: "{json.event.username}"},
		{Field: "time", Value: "{json.event.ts}"},
		{Field: "type", Value: "EnterMessage", When: "{json.event.subtype} in channel_join group_join"},
		{Field: "type", Value: "LeaveMessage", When: "{json.event.subtype} in channel_leave group_leave"},
		{Field: "type", Value: "TopicChangeMessage", When: "{json.event.subtype} in channel_topic group_topic"},
		{Field: "body", Value: "{json.event.message.text}", When: slackChanged},
		{Field: "body", Value: "{json.event.topic}", When: "{json.event.subtype} in channel_topic group_topic"},
		{Field: "body", Value: "{json.event.text}", When: "{json.event.subtype} not in message_changed message_deleted channel_join group_join channel_leave group_leave"},
		{Field: "files", Value: "{json.event.files ?? json.event.message.files}"},
		{Field: "thread", Value: "{json.event.message.thread_ts}", When: slackChanged + " and {json.event.message.thread_ts} != {json.event.message.ts}"},
		{Field: "thread", Value: "{json.event.thread_ts}", When: "{json.event.thread_ts} != {json.event.ts}"},
	},
	drop: []string{
		"{json.type} != event_callback",
		"{json.event.type} != message",
		"{json.event.subtype} exists and {json.event.subtype} not in bot_message me_message thread_broadcast file_share" +
			" message_changed message_deleted channel_join channel_leave channel_topic group_join group_leave group_topic",
	},
	revoke: []RevokeRule{{
		User: "{json.event.user}", Channel: "{json.event.channel}",
		When: "{json.event.type} == message and {json.event.subtype} in channel_leave group_leave",
	}},
}

const (
	slackChanged = "{json.event.subtype} == message_changed"
	slackDeleted = "{json.event.subtype} == message_deleted"
)
