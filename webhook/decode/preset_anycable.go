package decode

// anycablePreset is an app that broadcasts through AnyCable (docs/broadcasting.md):
// {"stream","data"} with JSON text in data, one or an array of them, by HTTP or
// through Redis.
var anycablePreset = preset{
	name:   "anycable",
	sender: Sender{Scheme: "bearer", Answer: &Answer{Status: 201}},
	format: JSON,
	each:   "{json}",
	rules: []MapRule{
		{Field: "channel", Value: "{item.stream}"},
		{Field: "id", Value: "{item.data|json:id}"},
		{Field: "user", Value: "{item.data|json:user_id}"},
		{Field: "user", Value: "{item.data|json:user.id}"},
		{Field: "time", Value: "{item.data|json:created_at}"},
		{Field: "body", Value: "{item.data|json:body}"},
		{Field: "body", Value: "{item.data|json:text}"},
	},
	anonymous: true,
}
