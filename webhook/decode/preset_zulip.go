package decode

// zulipPreset is an outgoing webhook of Zulip (zerver/lib/outgoing_webhook.py),
// in its own JSON or in the form that imitates Slack's. The form has no message
// id: there a digest of the message stands in. Zulip announces an answer that
// is not JSON as a failure.
var zulipPreset = preset{
	name:   "zulip",
	sender: Sender{Scheme: "token", Answer: &Answer{Status: 200, ContentType: "application/json", Body: `{"response_not_required":true}`}},
	rules: []MapRule{
		{Field: "channel", Value: "{json.message.stream_id ?? json.message.recipient_id ?? form.channel_id}"},
		{Field: "id", Value: "{json.message.id}"},
		{Field: "id", Value: hashWord, When: "{form.channel_id} exists"},
		{Field: "user", Value: "{json.message.sender_id ?? form.user_id}"},
		{Field: "user_name", Value: "{json.message.sender_full_name ?? form.user_name}"},
		{Field: "time", Value: "{json.message.timestamp ?? form.timestamp}"},
		{Field: "body", Value: "{json.message.content ?? form.text}"},
	},
}
