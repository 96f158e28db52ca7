-- Answers one question. ARGV: the epoch, the question, what it is about.
-- Reply: 0, then the answer, nothing if there is none.
local what = ARGV[2]
if what == 'trimmed' then
	return {0, int(trimmed(ARGV[3]))}
end
if what == 'tag' then
	local entry = call('XRANGE', INDEX, id(tonumber(ARGV[3])), id(tonumber(ARGV[3])))[1]
	return {0, entry and (tonumber(ARGV[3]) > blind and entry[2][2] or '0')}
end
if what == 'seq' then -- of the event with a key in a channel
	local first = call('HGET', IDS, ARGV[3])
	local seq = first and string.match(first, '^%d+')
	return {0, seq}
end
-- gone is what is left of an entry that retention has taken, and that was changed.
local function gone(seq)
	local entry = call('XRANGE', INDEX, id(seq), id(seq))[1]
	local first = entry and entry[2][8] ~= '' and call('HGET', IDS, entry[2][8])
	if first and string.match(first, '^%d+ %d+ $') then
		local nothing = '\2\0\0' .. string.rep('\0', 9) .. '\4\0\0'
		return string.format('%010.0f%014.0f%08.0f1', tonumber(entry[2][2]), tonumber(entry[2][4]), 12) .. nothing
	end
end
if what == 'rewritten' then -- what the feed lacks: entries from one on, as long as they were rewritten
	local answer = {0}
	for seq = tonumber(ARGV[3]), tonumber(ARGV[4]) do
		local packed = call('HGET', EVENTS, int(seq)) or gone(seq)
		if not packed or string.sub(packed, 33, 33) ~= '1' or string.byte(packed, 25) == 1 then break end
		if seq <= blind then packed = '0000000000' .. string.sub(packed, 11) end
		answer[#answer + 1] = packed
	end
	return answer
end
-- before: the newest entry taken before a time. Entries stand in INDEX in the
-- order of their times; the one nearest to a place decides for all before it.
local before = tonumber(ARGV[3])
local marks = call('HMGET', HEAD, 'seq', 'expired', 'expired_at')
local low, high, found = 0, tonumber(marks[1]), 0
while low < high do
	local middle = math.ceil((low + high) / 2)
	local entry = call('XREVRANGE', INDEX, id(middle), id(low + 1), 'COUNT', 1)[1]
	if not entry then
		low = middle
	elseif tonumber(entry[2][4]) < before then
		low, found = middle, tonumber(string.match(entry[1], '^%d+'))
	else
		high = tonumber(string.match(entry[1], '^%d+')) - 1
	end
end
if tonumber(marks[3]) < before then
	found = math.max(found, tonumber(marks[2]))
end
return {0, int(found)}
