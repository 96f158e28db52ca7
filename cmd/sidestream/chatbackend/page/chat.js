// The page of the demo's chat app. It talks to the app itself with fetch, and
// hears messages through the EventSource of Sidestream on the same host.
"use strict";

const $ = (id) => document.getElementById(id);
const rooms = new Map();    // id → {id, name, topic, unread, messages: Map(id → message), note}
const names = new Map();    // user id → name
let me = null;              // {id, name}
let current = null;         // the room that is shown
let source = null;          // the EventSource
let cursor = "";            // the last id that it brought
let again = 0;              // timer of the next try after it gave up
let pause = 1000;           // before that try, in ms

class Refused extends Error {
	constructor(status, text) { super(text.trim() || `the server answered ${status}`); this.status = status; }
}

async function send(path, options) {
	const answer = await fetch(path, { headers: { Accept: "application/json" }, ...options });
	if (!answer.ok) throw new Refused(answer.status, await answer.text());
	return answer;
}

async function ask(path, options) {
	const answer = await send(path, options);
	return answer.status === 204 ? null : answer.json();
}

// --- signing in -------------------------------------------------------------

async function start() {
	try {
		me = (await ask("/users/me.json")).user;
	} catch (e) {
		if (!(e instanceof Refused) || e.status !== 401) return tellAtDoor(e);
		return showDoor();
	}
	const list = (await ask("/rooms.json")).rooms;
	rooms.clear();
	for (const r of list) rooms.set(r.id, { ...r, unread: 0, messages: new Map(), gap: false });
	await Promise.all(list.map(async (r) => {
		for (const u of (await ask(`/room/${r.id}.json`)).room.users) names.set(String(u.id), u.name);
	}));
	$("door").hidden = true;
	$("app").hidden = false;
	$("me").textContent = me.name;
	$("second").href = secondWindow();
	open(rooms.get(Number(location.hash.slice(1))) || rooms.values().next().value);
	// The history first. With it comes where the stream goes on, as of before the
	// first room was asked for: nothing is missed between the two.
	const [first, ...others] = rooms.values();
	try {
		keepPosition(await load(first));
		await Promise.all(others.map(load));
	} catch (e) {
		cursor = ""; // it is loaded when the stream is open
	}
	listen();
}

async function showDoor() {
	if (source) source.close();
	clearTimeout(again);
	cursor = "";
	$("app").hidden = true;
	$("door").hidden = false;
	document.title = "Chat";
	const people = (await ask("/login")).users;
	$("people").replaceChildren(...people.map((p) => {
		const b = document.createElement("button");
		b.type = "button";
		b.textContent = p.name;
		b.addEventListener("click", async () => {
			try {
				await ask("/login", { method: "POST", body: new URLSearchParams({ user: p.id }) });
				$("door-error").textContent = "";
				await start();
			} catch (e) { tellAtDoor(e); }
		});
		return b;
	}));
}

function tellAtDoor(e) {
	$("door").hidden = false;
	$("door-error").textContent = `Signing in failed: ${e.message}. Is the app running?`;
}

// One browser has one session for each host name, so the second window takes
// this machine's other name, where one can be somebody else.
function secondWindow() {
	const twin = { localhost: "127.0.0.1", "127.0.0.1": "localhost" }[location.hostname];
	const url = new URL("/", location.href);
	if (twin) url.hostname = twin;
	return url.href;
}

// --- hearing ----------------------------------------------------------------

function listen() {
	clearTimeout(again);
	const url = new URL("/flows", location.href);
	url.searchParams.set("filter", [...rooms.keys()].join(","));
	url.searchParams.set("active", document.hidden ? "idle" : "true");
	url.searchParams.set("presence", "1");
	$("source").textContent = `GET ${decodeURIComponent(url.pathname + url.search)}`;
	// By itself, EventSource comes back with its cursor in a header. If it has
	// given up, we come back, and can only say the cursor in the query.
	if (cursor) url.searchParams.set("cursor", cursor);
	if (source) source.close();
	source = new EventSource(url);
	let loaded = false;
	source.addEventListener("open", () => {
		pause = 1000;
		tell("live", "Live");
		// Without a position, the history is fetched while the stream is open
		// already: then nothing is missed between the two, either.
		if (!loaded && !cursor) for (const r of rooms.values()) load(r).catch(complain);
		loaded = true;
	});
	source.addEventListener("message", (e) => {
		keep(e);
		const m = normal(JSON.parse(e.data));
		if (m) add(m, false);
	});
	source.addEventListener("gap", (e) => {
		keep(e);
		for (const r of rooms.values()) {
			r.gap = true;
			load(r).catch(complain);
		}
		show();
	});
	source.addEventListener("presence", (e) => present(JSON.parse(e.data)));
	source.addEventListener("error", async () => {
		tell("connecting", "Reconnecting…");
		if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
		again = setTimeout(recover, pause);
		pause = Math.min(pause * 2, 15000);
	});
}

async function recover() {
	try {
		await ask("/users/me.json");
	} catch (e) {
		if (e instanceof Refused && e.status === 401) return showDoor();
		again = setTimeout(recover, pause);
		pause = Math.min(pause * 2, 15000);
		return;
	}
	listen();
}

function keep(e) { keepPosition(e.lastEventId); }

function keepPosition(position) {
	if (!position) return;
	cursor = position;
	$("cursor").textContent = cursor;
}

// present keeps who is in a room, as the stream tells it: all at first, and then
// each who comes, goes, or looks elsewhere.
function present(p) {
	const room = rooms.get(Number(p.channel));
	if (!room) return;
	if (p.kind === "snapshot") room.present = new Map(p.users.map((u) => [u.user, u.state]));
	else if (p.kind === "left") room.present?.delete(p.user);
	else if (p.user) room.present?.set(p.user, p.state);
	showPresent();
}

function showPresent() {
	const there = [...current?.present ?? []].map(([user, state]) => (names.get(user) ?? `user ${user}`) + (state === "idle" ? " (idle)" : ""));
	$("present").textContent = there.length ? `Here: ${there.sort().join(", ")}` : "";
}

// normal brings a streamed message (Flowdock's schema) or one of the REST API
// (Campfire's) into one form; null if it says nothing here.
function normal(m) {
	if ("room_id" in m) {
		const kind = m.type === "EnterMessage" ? "enter" : m.type === "LeaveMessage" ? "leave" : "text";
		const time = Date.parse(String(m.created_at).replace(/^(\d+)\/(\d+)\/(\d+) (\S+) \+0000$/, "$1-$2-$3T$4Z"));
		return { id: Number(m.id), room: Number(m.room_id), user: String(m.user_id), kind, text: m.body ?? "", time };
	}
	const base = { id: Number(m.id), room: Number(m.flow), user: String(m.user), time: Number(m.sent) };
	if (m.event === "message" && typeof m.content === "string") return { ...base, kind: "text", text: m.content };
	if (m.event !== "action") return null;
	const kind = { join: "enter", leave: "leave" }[m.content.type] ?? "text";
	return { ...base, kind, text: String(m.content.description ?? "") };
}

// load fetches a room's newest messages, and returns where a stream goes on.
async function load(room) {
	const answer = await send(`/room/${room.id}/recent.json?limit=100`);
	for (const m of (await answer.json()).messages) add(normal(m), false, true);
	return answer.headers.get("Stream-Position");
}

// --- showing ----------------------------------------------------------------

function add(m, pending, old = false) {
	const room = rooms.get(m.room);
	if (!room) return;
	const known = room.messages.get(m.id);
	if (known && (pending || !known.pending)) return;
	room.messages.set(m.id, { ...m, pending });
	if (room !== current) {
		if (!old && !known && m.user !== String(me.id)) room.unread++;
		showRooms();
		return;
	}
	show();
}

function open(room) {
	current = room;
	room.unread = 0;
	history.replaceState(null, "", `#${room.id}`);
	$("room-name").textContent = room.name;
	$("room-topic").textContent = room.topic;
	showPresent();
	document.title = `${room.name}: ${me.name}`;
	showRooms();
	show();
	$("body").focus();
}

function showRooms() {
	$("rooms").replaceChildren(...[...rooms.values()].map((r) => {
		const li = document.createElement("li"), b = document.createElement("button");
		b.type = "button";
		b.append(r.name);
		b.setAttribute("aria-current", String(r === current));
		if (r.unread) {
			const n = element("span", "unread", String(r.unread));
			n.setAttribute("aria-label", `${r.unread} unread`);
			b.append(n);
		}
		b.addEventListener("click", () => open(r));
		li.append(b);
		return li;
	}));
}

function element(tag, name, text) {
	const e = document.createElement(tag);
	e.className = name;
	e.textContent = text;
	return e;
}

// show brings the list up to date; entries that are there stay, so that a
// screen reader says only what is new.
function show() {
	const list = $("messages");
	const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
	const wanted = [...current.messages.values()].sort((a, b) => a.id - b.id).map((m) => {
		const key = `${m.room}/${m.id}/${m.pending}`;
		return [...list.children].find((e) => e.dataset.key === key) ?? entry(m, key);
	});
	if (current.gap) {
		wanted.push(list.querySelector(".gap") ?? element("li", "gap", "Some messages may have been missed; the newest 100 were fetched again."));
	}
	for (const e of [...list.children]) if (!wanted.includes(e)) e.remove();
	wanted.forEach((e, i) => { if (list.children[i] !== e) list.insertBefore(e, list.children[i] ?? null); });
	if (atEnd) list.scrollTop = list.scrollHeight;
}

function entry(m, key) {
	const name = names.get(m.user) ?? `user ${m.user}`;
	let li;
	if (m.kind !== "text") {
		li = element("li", "note", `${name} ${m.kind === "enter" ? "came in" : "left"}`);
	} else {
		li = element("li", m.user === String(me.id) ? "mine" : "", "");
		const by = element("div", "by", "");
		const time = element("time", "", new Date(m.time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
		by.append(element("b", "", name), time);
		li.append(by, element("div", "text", m.text));
	}
	li.classList.toggle("pending", m.pending);
	li.dataset.key = key;
	li.dataset.id = m.id;
	return li;
}

function tell(state, text) {
	$("state").dataset.state = state;
	$("state").textContent = text;
}

function complain(e) { $("error").textContent = e.message; }

// --- speaking ---------------------------------------------------------------

$("composer").addEventListener("submit", async (e) => {
	e.preventDefault();
	const body = $("body").value.trim(), room = current;
	if (!body) return;
	$("error").textContent = "";
	$("body").value = "";
	try {
		const said = await ask(`/room/${room.id}/speak.json`, {
			method: "POST",
			headers: { "Content-Type": "application/json" },
			body: JSON.stringify({ message: { body } }),
		});
		// Pale until it has come back through the stream.
		add(normal(said.message), true);
	} catch (err) {
		if (err instanceof Refused && err.status === 401) return showDoor();
		$("body").value = body;
		complain(new Error(`Not sent: ${err.message}`));
	}
});

$("body").addEventListener("keydown", (e) => {
	if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
		e.preventDefault();
		$("composer").requestSubmit();
	}
});

$("logout").addEventListener("click", async () => {
	try { await ask("/logout", { method: "POST" }); } catch (e) { return complain(e); }
	showDoor();
});

start();
