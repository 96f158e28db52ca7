package decode

// laravelPreset is a Laravel app that broadcasts through Redis
// (laravel/framework Illuminate/Broadcasting/Broadcasters/RedisBroadcaster.php):
// {"event","data","socket"}. The channel is the capture "channel" of the
// subscription's pattern, or the whole name.
var laravelPreset = preset{
	name:   "laravel",
	format: JSON,
	rules: []MapRule{
		{Field: "channel", Value: "{match.channel ?? redis.channel}"},
		{Field: "id", Value: "{json.data.message.id ?? json.data.id}"},
		{Field: "user", Value: "{json.data.message.user_id ?? json.data.message.user.id ?? json.data.user_id ?? json.data.user.id}"},
		{Field: "time", Value: "{json.data.message.created_at ?? json.data.created_at}"},
		{Field: "body", Value: "{json.data.message.body ?? json.data.message.text ?? json.data.body ?? json.data.text}"},
	},
	anonymous: true,
}
