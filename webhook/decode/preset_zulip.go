package decode

// zulipPreset is an outgoing webhook of Zulip (zerver/lib/outgoing_webhook.py),
// in its own JSON or in the form that imitates Slack's. A direct message names the
// users that it is between, and goes to each of them; its recipient_id is a number
// of another kind than that of a stream. The form has no message id: there a digest
// of the message stands in. Zulip announces an answer that
// is not JSON as a failure.
var zulipPreset = preset{
	name:    "zulip",
	sender:  Sender{Scheme: "token", Answer: &Answer{Status: 200, ContentType: "application/json", Body: `{"response_not_required":true}`}},
	secrets: []string{"token"},
	rules: []MapRule{
		{Field: "channel", Value: "{json.message.stream_id ?? form.channel_id}"},
		{Field: "to", Value: "{json.message.display_recipient.*.id}", When: "{json.message.stream_id} not exists"},
		{Field: "id", Value: "{json.message.id}"},
		{Field: "id", Value: hashWord, When: "{form.channel_id} exists"},
		{Field: "user", Value: "{json.message.sender_id ?? form.user_id}"},
		{Field: "user_name", Value: "{json.message.sender_full_name ?? form.user_name}"},
		{Field: "time", Value: "{json.message.timestamp ?? form.timestamp}"},
		{Field: "body", Value: "{json.message.content ?? form.text}"},
	},
}
