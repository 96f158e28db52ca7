package decode

// slackPreset is Slack's legacy outgoing webhook
// (api.slack.com/legacy/custom-integrations/outgoing-webhooks), a form. Its
// timestamp is the message's id too.
var slackPreset = preset{
	name:    "slack",
	aliases: []string{"slack_legacy"},
	sender:  Sender{Scheme: "token", Answer: emptyJSON, NeverRetries: true},
	usual:   Form,
	secrets: []string{"token"},
	rules: []MapRule{
		{Field: "channel", Value: eitherBody("channel_id")},
		{Field: "id", Value: eitherBody("timestamp")},
		{Field: "user", Value: eitherBody("user_id")},
		{Field: "user_name", Value: eitherBody("user_name")},
		{Field: "time", Value: eitherBody("timestamp")},
		{Field: "body", Value: eitherBody("text")},
	},
}
