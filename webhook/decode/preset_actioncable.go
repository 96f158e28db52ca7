package decode

// actioncablePreset is a Rails app that broadcasts objects through ActionCable's
// Redis adapter (rails/rails actioncable/lib/action_cable/subscription_adapter/redis.rb).
// The channel is the capture "channel" of the subscription's pattern, or the
// whole name. Broadcasts of Turbo are HTML, not objects, and remain unmapped, like
// notices about typing.
var actioncablePreset = preset{
	name:   "actioncable",
	format: JSON,
	rules: []MapRule{
		{Field: "channel", Value: "{match.channel ?? redis.channel}"},
		{Field: "id", Value: "{json.id}"},
		{Field: "user", Value: "{json.user_id ?? json.user.id}"},
		{Field: "time", Value: "{json.created_at}"},
		{Field: "body", Value: "{json.body ?? json.text}"},
	},
	anonymous: true,
}
