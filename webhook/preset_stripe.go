package webhook

// stripePreset is a webhook of Stripe. It has nothing like a channel: the
// configuration must map one.
var stripePreset = preset{
	name:   "stripe",
	verify: &Verify{Scheme: "stripe"},
	format: JSON,
	rules: []MapRule{
		{Field: "id", Value: "{json.id}"},
		{Field: "time", Value: "{json.created}"},
		{Field: "body", Value: "{json.type}"},
	},
	ack: emptyJSON,
}
