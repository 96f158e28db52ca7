-- What edits and deletions do to what is kept of their messages, for the script that
-- appends. See log.Log.
--
-- IDS holds, under the token of a message that was changed, the position of its
-- newest change, and e, or d if it was deleted.
local GONE = '\4\0\0' -- what a form says when nothing is left: shape, body, payload
local CREATE, EDIT, DELETE = 0, 1, 2

-- settled brings what was gathered to Redis: set by the script that gathers.
local settled = function() end
local latest = {} -- of this batch
local fresh = {} -- by their keys, what IDS is told of the events of this batch

local function change_of(message)
	local last = message ~= '' and (latest[message] or call('HGET', IDS, message))
	if last then return string.match(last, '^(%d+) (.)$') end
end

-- text is what an edit makes a message say. A payload of Flowdock is no message of
-- its own: then the body alone counts.
local function text_of(said)
	if string.byte(said) ~= 3 then return said end
	local size, shift, at = 0, 1, 2
	repeat
		local byte = string.byte(said, at)
		size, shift, at = size + byte % 128 * shift, shift * 128, at + 1
	until byte < 128
	return '\0' .. string.sub(said, 2, at - 1 + size) .. '\0'
end

-- kept is the form that is stored of an event, and whether a change that came before
-- it makes that say something else.
local function kept(op, message, form, said)
	if head.altered == 0 or op > EDIT then return form, false end
	local seq, kind = change_of(message)
	if not seq then return form, false end
	if kind == 'd' then return string.sub(form, 1, said) .. GONE, true end
	if op == EDIT then return form, false end
	settled()
	local edit = call('HGET', EVENTS, seq)
	if not edit or isOld(edit) then return form, false end
	local from = PACKED + tonumber(string.sub(edit, 25, 32))
	return string.sub(form, 1, said) .. text_of(string.sub(edit, from + 1)), true
end

-- unfeed takes an entry out of the feed, and forgets the digest of what it said: by
-- that, nodes that miss it in the feed know why it is not there.
local function unfeed(seq)
	head.feed = head.feed - call('XDEL', FEED, id(seq))
	local entry = call('XRANGE', INDEX, id(seq), id(seq))[1]
	local key = entry and entry[2][8] or ''
	if key ~= '' then
		local undigested = int(seq) .. ' ' .. entry[2][2] .. ' '
		call('HSET', IDS, key, undigested)
		if fresh[key] then fresh[key] = undigested end
	end
end

-- rewrite has an entry say something else; one that retention has taken, only the
-- feed may still say. A deletion says nothing that could go. whole stands in for a form from before format 2, which
-- cannot be cut. The entry leaves the feed: nodes that miss it there read it here.
local function rewrite(seq, token, text, whole, whole_said)
	settled()
	seq = tonumber(seq)
	local packed = call('HGET', EVENTS, int(seq))
	if not packed then
		unfeed(seq)
		return
	end
	local old = isOld(packed)
	local from = old and 24 or PACKED
	if string.byte(packed, from + 3) == DELETE then return end
	local form, said = whole, tonumber(whole_said)
	if not old then
		said = tonumber(string.sub(packed, 25, 32))
		form = string.sub(packed, PACKED + 1, PACKED + said) .. text
	end
	call('HSET', EVENTS, int(seq), string.sub(packed, 1, 24) .. string.format('%08.0f1', said) .. form)
	local grown, s = #form - (#packed - from), state(token)
	s.bytes, s.changed, head.bytes = s.bytes + grown, true, head.bytes + grown
	unfeed(seq)
end

-- change does what the edit or deletion at number does. created is the key of the
-- event that created its message, text what it says from now on.
local function change(op, message, number, token, created, text, whole, whole_said)
	local last, was = change_of(message)
	local kind = was
	settled()
	if op == DELETE then kind = 'd' elseif not last then kind = 'e' end
	if kind == 'd' then text, whole = GONE, string.sub(whole, 1, tonumber(whole_said)) .. GONE end
	if last and was == 'e' then
		rewrite(last, token, GONE, string.sub(whole, 1, tonumber(whole_said)) .. GONE, whole_said)
	end
	local first = call('HGET', IDS, created)
	if first then rewrite(string.match(first, '^%d+'), token, text, whole, whole_said) end
	latest[message] = number .. ' ' .. kind
	if call('HSET', IDS, message, latest[message]) == 1 then
		head.ids, head.altered = head.ids + 1, head.altered + 1
	end
end
