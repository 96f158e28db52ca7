package decode

// matrixPreset is a Matrix homeserver that sends to an application service
// (spec.matrix.org, Application Service API). One transaction can come again
// with more events in it, so its id means nothing. Dendrite takes nothing but
// 200 for a success. The other calls of that API are in matrix.go.
var matrixPreset = preset{
	name:   "matrix",
	sender: Sender{Scheme: "bearer", Query: "access_token", Method: "PUT", Answer: emptyJSON, Protocol: ApplicationService},
	format: JSON,
	each:   "{json.events}",
	rules: []MapRule{
		{Field: "channel", Value: "{item.room_id}"},
		{Field: "id", Value: "{item:/content/m.relates_to/event_id}", When: matrixEdit},
		{Field: "id", Value: "{item.redacts ?? item.content.redacts}", When: matrixRedaction},
		{Field: "id", Value: "{item.event_id}"},
		{Field: "version", Value: "{item.event_id}", When: matrixEdit},
		{Field: "version", Value: "{item.event_id}", When: matrixRedaction},
		{Field: "op", Value: "edit", When: matrixEdit},
		{Field: "op", Value: "delete", When: matrixRedaction},
		{Field: "user", Value: "{item.state_key}", When: matrixMember},
		{Field: "user", Value: "{item.sender}"},
		{Field: "user_name", Value: "{item.content.displayname}", When: matrixMember},
		{Field: "time", Value: "{item.origin_server_ts}"},
		{Field: "type", Value: "EnterMessage", When: matrixMember + " and {item.content.membership} == join"},
		{Field: "type", Value: "KickMessage", When: matrixMember + " and {item.sender} != {item.state_key}"},
		{Field: "type", Value: "LeaveMessage", When: matrixMember},
		{Field: "type", Value: "TopicChangeMessage", When: matrixTopic},
		{Field: "body", Value: "{item.content.topic}", When: matrixTopic},
		{Field: "body", Value: "{item:/content/m.new_content/body ?? item.content.body}", When: matrixEdit},
		// The body of a file is its name.
		{Field: "body", Value: "{item.content.body}", When: matrixMessage + " and {item.content.url ?? item.content.file.url} not exists"},
		{Field: "body", Value: "{item.content.body}", When: matrixMessage + " and {item.content.filename} exists and {item.content.filename} != {item.content.body}"},
		{Field: "files", Value: "{item.content}", When: matrixMessage + " and {item.content.url ?? item.content.file.url} exists"},
		{Field: "thread", Value: "{item:/content/m.relates_to/event_id}", When: matrixMessage + " and {item:/content/m.relates_to/rel_type} == m.thread"},
	},
	drop: []string{
		"{item.type} not in m.room.message m.room.redaction m.room.member m.room.topic",
		matrixMessage + " and {item.content.body} not exists",
		matrixMember + " and {item.content.membership} not in join leave ban",
		// A changed name or picture is a join after a join.
		matrixMember + " and {item.content.membership} == join and {item.unsigned.prev_content.membership} == join",
	},
	revoke: []RevokeRule{{
		User: "{item.state_key}", Channel: "{item.room_id}",
		When: matrixMember + " and {item.content.membership} in leave ban",
	}},
	maxBody: 10 << 20,
}

const (
	matrixMessage   = "{item.type} == m.room.message"
	matrixMember    = "{item.type} == m.room.member"
	matrixTopic     = "{item.type} == m.room.topic"
	matrixRedaction = "{item.type} == m.room.redaction"
	matrixEdit      = matrixMessage + " and {item:/content/m.relates_to/rel_type} == m.replace"
)
