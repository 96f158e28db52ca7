package decode

// stripePreset is a webhook of Stripe. It has nothing like a channel: the
// configuration must map one.
var stripePreset = preset{
	name:   "stripe",
	sender: Sender{Scheme: "stripe", Answer: emptyJSON},
	format: JSON,
	rules: []MapRule{
		{Field: "id", Value: "{json.id}"},
		{Field: "time", Value: "{json.created}"},
		{Field: "body", Value: "{json.type}"},
	},
}
