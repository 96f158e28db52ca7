package decode

// socketioPreset is an app that emits through socket.io's Redis adapter
// (@socket.io/redis-emitter): MessagePack of
// ["emitter",{"type":2,"data":[event,argument],"nsp"},{"rooms":[...]}]. An event,
// to one or several rooms, is a message if it is named message, or as the option
// events says.
var socketioPreset = preset{
	name:   "socketio",
	format: Msgpack,
	rules: []MapRule{
		{Field: "channel", Value: "{json.2.rooms}"},
		{Field: "id", Value: "{json.1.data.1.id}"},
		{Field: "user", Value: "{json.1.data.1.user_id ?? json.1.data.1.user.id ?? json.1.data.1.user}"},
		{Field: "time", Value: "{json.1.data.1.created_at ?? json.1.data.1.time}"},
		{Field: "body", Value: "{json.1.data.1.body ?? json.1.data.1.text}"},
	},
	eventName: "{json.1.data.0}",
	events:    []string{"message"},
	anonymous: true,
}
