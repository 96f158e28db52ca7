package tap

import "github.com/seed-078801ba/sidestream/webhook/decode"

// rocketchatPreset is the REST API of Rocket.Chat (apps/meteor/app/api/server/v1:
// chat.ts, misc.ts). Its web client calls methods over REST, whose answer is JSON in a
// text, and whose errors have a status of 200, too. What goes over the web client's
// WebSocket is not seen here.
var rocketchatPreset = preset{
	name: "rocketchat",
	rules: []Rule{
		on(post, "/api/v1/chat.sendMessage", ok, mapped(rocketchatMessage("{res.message.", "}", is("op", "create"))...)).withWhen(rocketchatGood).withDrop("{res.message.t} exists"),
		on(post, "/api/v1/chat.postMessage", ok, mapped(rocketchatMessage("{res.message.", "}", is("op", "create"))...)).withWhen(rocketchatGood).withDrop("{res.message.t} exists"),
		on(post, "/api/v1/chat.update", ok, mapped(rocketchatMessage("{res.message.", "}", is("op", "edit"), is("version", "hash"))...)).withWhen(rocketchatGood),
		on(post, "/api/v1/chat.delete", ok, mapped(is("id", "{res._id ?? req.msgId}"), is("op", "delete"))).withWhen(rocketchatGood),
		on(post, "/api/v1/method.call/sendMessage", ok, mapped(rocketchatMessage("{res.message|json:result.", "}", is("op", "create"))...)).
			withWhen(rocketchatGood + " and {res.message|json:result._id} exists").withDrop("{res.message|json:result.t} exists"),
		on(post, "/api/v1/method.call/deleteMessage", ok, mapped(is("id", "{req.message|json:params.0._id}"), is("op", "delete"))).
			withWhen(rocketchatGood + " and {res.message|json:error} not exists"),
		// Its answer says nothing of the message.
		on(post, "/api/v1/method.call/updateMessage", ok, mapped()).poking("{req.message|json:params.0.rid}").
			withWhen(rocketchatGood + " and {res.message|json:error} not exists"),
	},
	revokes: []Revocation{
		asking(post, "/api/v1/logout", ok, "", ""),
		asking(post, "/api/v1/channels.kick", ok, "{req.userId}", "{req.roomId}"),
		asking(post, "/api/v1/groups.kick", ok, "{req.userId}", "{req.roomId}"),
		asking(post, "/api/v1/channels.leave", ok, "", ""),
		asking(post, "/api/v1/groups.leave", ok, "", ""),
		asking(post, "/api/v1/users.setActiveStatus", ok, "{req.userId}", ""),
		asking(post, "/api/v1/method.call/logoutCleanUp", ok, "", ""),
		asking(post, "/api/v1/method.call/leaveRoom", ok, "", ""),
	},
}

// rocketchatMessage maps a message whose fields stand between two texts.
func rocketchatMessage(before, after string, op ...decode.MapRule) []decode.MapRule {
	at := func(field string) string { return before + field + after }
	return append([]decode.MapRule{
		is("channel", at("rid")),
		is("id", at("_id")),
		is("user", at("u._id")),
		is("user_name", at("u.username")),
		is("time", at("ts")),
		is("body", at("msg")),
		is("files", at("attachments")),
		is("files", at("file")),
		is("thread", at("tmid")),
	}, op...)
}

const rocketchatGood = "{res.success} == true"
