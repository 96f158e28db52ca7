package decode

// githubPreset is a webhook of GitHub: comments, issues, pull requests and
// pushes, each repository a channel. Unless its Content-Type is set to JSON, GitHub
// sends a form with the JSON in it
// (docs.github.com/en/webhooks/using-webhooks/creating-webhooks).
var githubPreset = preset{
	name:     "github",
	sender:   Sender{Scheme: "github", Delivery: []string{"X-GitHub-Delivery"}, Answer: emptyJSON, NeverRetries: true},
	document: "payload",
	rules: []MapRule{
		{Field: "channel", Value: "{json.repository.full_name}"},
		{Field: "user", Value: "{json.sender.id}"},
		{Field: "user_name", Value: "{json.sender.login}"},
		{Field: "body", Value: "{json.comment.body ?? json.review.body ?? json.issue.title ?? json.pull_request.title ?? json.head_commit.message}"},
	},
	drop: []string{"{header.X-GitHub-Event} == ping"},
}
