-- What retention does, for the scripts that append and sweep.
local states = {} -- of channels that the script has looked at
local changed = false

local function state(token)
	local s = states[token]
	if not s then
		local stored = call('HGET', CHANNELS, token)
		if stored then
			local trimmed, count, bytes = string.match(stored, '^(%d+) (%d+) (%d+)$')
			s = {known = true, trimmed = tonumber(trimmed), count = tonumber(count), bytes = tonumber(bytes)}
		else
			s = {known = false, trimmed = head.forgotten, count = 0, bytes = 0}
		end
		states[token] = s
	end
	return s
end

-- forget takes an entry out of INDEX; fields are what stood there.
local function forget(seq, fields)
	local key, message = fields[8], fields[10]
	changed = true
	head.index = head.index - call('XDEL', INDEX, id(seq))
	if key ~= '' then
		head.ids = head.ids - call('HDEL', IDS, key)
	end
	if message and string.match(call('HGET', IDS, message) or '', '^%d+') == int(seq) then
		call('HDEL', IDS, message)
		head.ids, head.altered = head.ids - 1, head.altered - 1
	end
end

-- drop removes the oldest entry of a channel. Its key stays until it expires.
local function drop(token, s, seq)
	local size
	if seq <= head.blind and isOld(call('HGET', EVENTS, int(seq))) then
		size = call('HSTRLEN', EVENTS, int(seq)) - 24
	else
		size = call('HSTRLEN', EVENTS, int(seq)) - PACKED
	end
	changed = true
	call('HDEL', EVENTS, int(seq))
	call('ZREM', PLACES, member(token, seq))
	s.changed, s.trimmed, s.count, s.bytes = true, seq, s.count - 1, s.bytes - size
	head.events, head.bytes = head.events - 1, head.bytes - size
	if s.count == 0 then head.channels = head.channels - 1 end
	if seq <= head.expired then forget(seq, call('XRANGE', INDEX, id(seq), id(seq))[1][2]) end
end

-- trim drops what a channel holds over its bounds, budget entries at most, and
-- returns what is left of the budget.
local function trim(token, s, events, bytes, budget)
	local function over() return events > 0 and s.count > events or bytes > 0 and s.bytes > bytes end
	while budget > 0 and over() do
		local many = s.count - (events > 0 and events or s.count)
		local page = call('ZRANGEBYLEX', PLACES, '[' .. token, '(' .. token .. 'g', 'LIMIT', 0, math.min(budget, math.max(many, 8)))
		for _, place in ipairs(page) do
			if not over() then break end
			drop(token, s, tonumber(string.sub(place, -16), 16))
			budget = budget - 1
		end
	end
	return budget, over()
end

-- finish writes back what changed.
local function finish()
	for token, s in pairs(states) do
		if s.known and s.count == 0 and s.trimmed <= head.expired then
			call('HDEL', CHANNELS, token)
			head.known = head.known - 1
			head.forgotten = math.max(head.forgotten, s.trimmed)
		elseif s.changed then
			head.known = head.known + call('HSET', CHANNELS, token, int(s.trimmed) .. ' ' .. int(s.count) .. ' ' .. int(s.bytes))
		end
	end
	-- Every retained entry stands in INDEX. Where many in a row are gone, it
	-- takes several calls to find the oldest one that is left.
	if head.events == 0 then
		head.oldest = 0
	elseif call('HEXISTS', EVENTS, int(head.oldest)) == 0 then
		for _, entry in ipairs(call('XRANGE', INDEX, id(head.oldest), '+', 'COUNT', 256)) do
			head.oldest = tonumber(string.match(entry[1], '^%d+'))
			if call('HEXISTS', EVENTS, int(head.oldest)) == 1 then break end
		end
	end
	save()
end
