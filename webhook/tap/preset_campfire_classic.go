package tap

import "github.com/seed-078801ba/sidestream/webhook/decode"

// campfireClassicPreset is the old Campfire API (basecamp/campfire-api
// sections/messages.md): what was said is answered as it is streamed. Whether a message
// is starred is its author's alone. XML only makes the room be read.
var campfireClassicPreset = preset{
	name: "campfire_classic",
	rules: []Rule{
		{
			Method: post, Path: "/room/{room}/speak.json", Statuses: []int{created}, Fields: campfireClassicFields,
			Config: decode.Config{Preset: "campfire_classic", Each: "{res.message ?? res}", Map: []decode.MapRule{
				is("channel", "{item.room_id ?? path.room|number}"), is("id", "{item.id}"),
			}},
		},
		{Method: post, Path: "/room/{room}/speak.xml", Statuses: []int{created}, Poke: "{path.room|number}"},
		{Method: post, Path: "/room/{room}/speak", Statuses: []int{created}, Poke: "{path.room|number}"},
	},
	revokes: []Revocation{
		asking(post, "/room/{room}/leave.json", ok, "", ""),
		asking(post, "/room/{room}/leave.xml", ok, "", ""),
	},
}

var campfireClassicFields = []string{"id", "room_id", "user_id", "type", "body", "created_at"}
