package decode

// standardwebhooksPreset is a sender that follows Standard Webhooks
// (standard-webhooks/standard-webhooks spec/standard-webhooks.md), Svix among
// them. The payload is {"type","timestamp","data":{...}}; what is in data is the
// sender's own, so most will map it. Without an id in it, the webhook-id stands
// in.
var standardwebhooksPreset = preset{
	name:    "standardwebhooks",
	aliases: []string{"svix"},
	sender:  Sender{Scheme: "standardwebhooks", Conflict: true},
	rules: []MapRule{
		{Field: "channel", Value: "{json.data.channel}"},
		{Field: "id", Value: "{json.data.id}"},
		{Field: "user", Value: "{json.data.user}"},
		{Field: "user_name", Value: "{json.data.user_name}"},
		{Field: "time", Value: "{json.data.time ?? json.timestamp}"},
		{Field: "body", Value: "{json.data.body}"},
	},
}
