package decode

// socketioPreset is an app that emits through socket.io's Redis adapter
// (@socket.io/redis-emitter): MessagePack of
// ["emitter",{"type":2,"data":[event,argument],"nsp"},{"rooms":[...]}]. The event
// named message, to one or several rooms, is a message.
var socketioPreset = preset{
	name:   "socketio",
	format: Msgpack,
	arrays: true,
	rules: []MapRule{
		{Field: "channel", Value: "{json.2.rooms}"},
		{Field: "id", Value: "{json.1.data.1.id}"},
		{Field: "user", Value: "{json.1.data.1.user_id ?? json.1.data.1.user.id ?? json.1.data.1.user}"},
		{Field: "time", Value: "{json.1.data.1.created_at ?? json.1.data.1.time}"},
		{Field: "body", Value: "{json.1.data.1.body ?? json.1.data.1.text}"},
	},
	drop:      []string{"{json.1.data.0} != message"},
	anonymous: true,
}
