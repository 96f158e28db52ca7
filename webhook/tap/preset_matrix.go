package tap

// matrixPreset is the client API of Matrix (spec.matrix.org, Client-Server API), seen
// running with Dendrite. The answer has the event's id alone: the room stands in the
// path, the text in the request, and whose it is, the homeserver says when it is asked
// with the client's credential. Other servers' messages do not pass here: an
// application service sees them.
var matrixPreset = preset{
	name:  "matrix",
	rules: append(matrixRules("v3"), matrixRules("r0")...),
	revokes: append(append([]Revocation{
		asking(post, "/_matrix/client/v3/logout", ok, "", ""),
		asking(post, "/_matrix/client/v3/logout/all", ok, "", ""),
		asking(post, "/_matrix/client/v3/account/deactivate", ok, "", ""),
		asking(post, "/_matrix/client/r0/logout", ok, "", ""),
		asking(post, "/_matrix/client/r0/logout/all", ok, "", ""),
	}, matrixRevocations("v3")...), matrixRevocations("r0")...),
}

const (
	matrixEdit  = "{req:/m.relates_to/rel_type} == m.replace"
	matrixPlain = "{req.url ?? req.file.url} not exists"
)

func matrixRules(version string) []Rule {
	room := "/_matrix/client/" + version + "/rooms/{room}"
	return []Rule{
		on(put, room+"/send/m.room.message/{txn}", ok, mapped(
			is("channel", "{path.room}"),
			is("id", "{req:/m.relates_to/event_id}", matrixEdit),
			is("id", "{res.event_id}"),
			is("version", "{res.event_id}", matrixEdit),
			is("op", "edit", matrixEdit),
			is("user", "{auth.user}"),
			is("body", "{req:/m.new_content/body ?? req.body}", matrixEdit),
			is("body", "{req.body}", matrixPlain),
			is("files", "{req}", "{req.url ?? req.file.url} exists"),
			is("thread", "{req:/m.relates_to/event_id}", "{req:/m.relates_to/rel_type} == m.thread"),
		)).withWhen("{res.event_id} exists").withDrop("{req.body} not exists"),
		on(put, room+"/redact/{event}/{txn}", ok, mapped(
			is("channel", "{path.room}"), is("id", "{path.event}"), is("version", "{res.event_id}"), is("op", "delete"), is("user", "{auth.user}"),
		)).withWhen("{res.event_id} exists"),
	}
}

func matrixRevocations(version string) []Revocation {
	room := "/_matrix/client/" + version + "/rooms/{room}"
	return []Revocation{
		asking(post, room+"/leave", ok, "", ""),
		asking(post, room+"/kick", ok, "{req.user_id}", "{path.room}"),
		asking(post, room+"/ban", ok, "{req.user_id}", "{path.room}"),
	}
}
