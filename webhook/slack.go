package webhook

import (
	"net/http"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

var (
	slackType      = mustTemplate("{json.type}")
	slackChallenge = mustTemplate("{json.challenge}")
)

// challenge answers the request by which Slack finds out whether an address
// speaks its language (api.slack.com/events/url_verification).
func challenge(s *decode.Payload) (a answer, done bool, err error) {
	kind, ok, err := slackType.Text(s)
	if err != nil || !ok || kind != "url_verification" {
		return a, false, err
	}
	text, ok, err := slackChallenge.Text(s)
	switch {
	case err != nil:
		return a, false, err
	case !ok:
		return a, false, badInput("a url_verification without a challenge")
	}
	body := append(decode.AppendJSONString([]byte(`{"challenge":`), text), '}')
	return answer{status: http.StatusOK, contentType: "application/json", body: body}, true, nil
}

// mustTemplate compiles a template of this package's own.
func mustTemplate(text string) *decode.Template {
	t, err := decode.ParseTemplate(text)
	if err != nil {
		panic(err)
	}
	return t
}
