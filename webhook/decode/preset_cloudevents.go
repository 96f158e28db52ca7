package decode

// cloudeventsPreset reads CloudEvents 1.0 in all three modes
// (cloudevents/spec http-protocol-binding.md, http-webhook.md). What makes an
// event the same is its source and id together; the source is the version here.
var cloudeventsPreset = preset{
	name:   "cloudevents",
	sender: Sender{Scheme: "bearer", Query: "access_token", Conflict: true, Protocol: CloudEventsHandshake},
	format: CloudEvents,
	each:   "{json}",
	rules: []MapRule{
		{Field: "channel", Value: "{item.subject}"},
		{Field: "id", Value: "{item.id}"},
		{Field: "version", Value: "{item.source}"},
		{Field: "user", Value: "{item.data.user}"},
		{Field: "user_name", Value: "{item.data.user_name}"},
		{Field: "time", Value: "{item.time}"},
		{Field: "body", Value: "{item.data.body ?? item.data.text}"},
	},
}
