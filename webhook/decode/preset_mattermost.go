package decode

// mattermostPreset is an outgoing webhook of Mattermost (model/outgoing_webhook.go),
// as JSON (time in milliseconds) or as a form (time in seconds). The token is in
// the payload, one for each webhook.
var mattermostPreset = preset{
	name:    "mattermost",
	sender:  Sender{Scheme: "token", Answer: emptyJSON, NeverRetries: true},
	secrets: []string{"token"},
	rules: []MapRule{
		{Field: "channel", Value: eitherBody("channel_id")},
		{Field: "id", Value: eitherBody("post_id")},
		{Field: "user", Value: eitherBody("user_id")},
		{Field: "user_name", Value: eitherBody("user_name")},
		{Field: "time", Value: eitherBody("timestamp")},
		{Field: "body", Value: eitherBody("text")},
		// "id,id": this is where a client of the app gets them.
		{Field: "files", Value: "{json.file_ids ?? form.file_ids|split:,|prefix:/api/v4/files/}", When: "{json.file_ids ?? form.file_ids} not in \"\""},
	},
}
