-- Appends a batch.
--
-- ARGV[6..]: retention (events, bytes), bounds of the feed (events, bytes), how
-- many entries may be dropped, numbers of events and marks; then of each event
-- its key ('' for none), digest of its content, channel, tag, encoded form, where in
-- that the text begins, operation, and its message ('' for none), and of an edit or a
-- deletion of one the key of the event that created it, what it says from now on, and
-- a whole event that says so, and where its text begins; then of each mark its source
-- and value.
--
-- Adds to the reply: 1 if retention is behind, then for each event seq, tag and
-- 0 if it was stored, 1 if it was there, 2 if it was there with other content, 3 and
-- its form if that was stored with another text.
local budget, n, m = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local results, arg, stored = {}, 13, 0
head.at = math.max(head.at, time)
local at = int(head.at)
call('HSET', HEAD, 'at', at) -- refused here if at all, before anything has changed

-- bulk gathers pairs for one call of a command, which costs less than many.
local function bulk(command, key)
	local pairs = {}
	local function flush()
		if #pairs > 0 then call(command, key, unpack(pairs)) end
		pairs = {}
	end
	return function(a, b)
		pairs[#pairs + 1], pairs[#pairs + 2] = a, b
		if #pairs == 256 then flush() end
	end, flush
end
local event, flushEvents = bulk('HSET', EVENTS)
local place, flushPlaces = bulk('ZADD', PLACES)
local remember, flushIDs = bulk('HSET', IDS)
settled = function()
	flushEvents()
	flushPlaces()
	flushIDs()
end

for i = 1, n do
	local key, digest, token, tag, encoded, said, op, message = unpack(ARGV, arg, arg + 7)
	arg, op = arg + 8, tonumber(op)
	local created, text, whole, whole_said
	local changes = message ~= '' and (op == EDIT or op == DELETE)
	if changes then
		created, text, whole, whole_said = unpack(ARGV, arg, arg + 3)
		arg = arg + 4
	end
	local first = key ~= '' and (fresh[key] or call('HGET', IDS, key))
	if first then
		local seq, content
		seq, tag, content = string.match(first, '^(%d+) (%d+) (.*)$')
		results[#results + 1], results[#results + 2] = seq, int(shown(tonumber(seq), tonumber(tag)))
		local agrees = content == digest or content == '' or tonumber(seq) <= head.blind
		results[#results + 1] = agrees and '1' or '2'
	else
		local altered
		encoded, altered = kept(op, message, encoded, tonumber(said))
		if altered then digest = '' end
		local seq, size = head.seq + 1, #encoded
		local number = int(seq)
		local s, value, position = state(token), tonumber(tag), number .. '-0'
		call('XADD', FEED, position, 't', tag, 'a', at, 'b', int(head.written), 'e', encoded)
		if changes then
			call('XADD', INDEX, position, 't', tag, 'a', at, 'c', token, 'k', key, 'm', message)
		else
			call('XADD', INDEX, position, 't', tag, 'a', at, 'c', token, 'k', key)
		end
		event(number, pack(value, head.at, said, 0, encoded))
		place(0, member(token, seq))
		if key ~= '' then
			fresh[key] = number .. ' ' .. tag .. ' ' .. digest
			remember(key, fresh[key])
			head.ids = head.ids + 1
		end
		if head.events == 0 then head.oldest = seq end
		if s.count == 0 then head.channels = head.channels + 1 end
		s.changed, s.count, s.bytes = true, s.count + 1, s.bytes + size
		head.seq, head.tag, head.events, head.bytes = seq, value, head.events + 1, head.bytes + size
		head.feed, head.index, head.written, stored = head.feed + 1, head.index + 1, head.written + size, stored + 1
		if changes then change(op, message, number, token, created, text, whole, whole_said) end
		results[#results + 1], results[#results + 2] = number, tag
		results[#results + 1] = altered and '3' .. encoded or '0'
	end
end
settled()
for i = 1, m do
	head.marks = head.marks + call('HSET', MARKS, ARGV[arg], ARGV[arg + 1])
	arg = arg + 2
end

local behind = false
for token, s in pairs(states) do
	local over
	budget, over = trim(token, s, tonumber(ARGV[6]), tonumber(ARGV[7]), budget)
	behind = behind or over
end

-- The feed is cut in large pieces, and never what this call has added.
local function cut(length)
	length = math.max(length, stored)
	call('XTRIM', FEED, 'MAXLEN', length)
	head.feed = length
	local first = call('XRANGE', FEED, '-', '+', 'COUNT', 1)[1]
	head.feed_from = first and tonumber(first[2][6]) or head.written
end
local most, mostBytes = tonumber(ARGV[8]), tonumber(ARGV[9])
if head.feed > most * 1.1 and head.feed > stored then cut(most) end
while head.written - head.feed_from > mostBytes and head.feed > stored do
	cut(math.floor(head.feed / 2))
end

finish()
local answer = reply(0)
answer[#answer + 1] = behind and '1' or '0'
for _, v in ipairs(results) do answer[#answer + 1] = v end
return answer
