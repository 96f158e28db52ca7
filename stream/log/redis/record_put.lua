-- Keeps small records, for a time.
--
-- KEYS: the records (id -> its end in 16 digits, value), and their ends (end, id).
-- ARGV[1..2]: the time in milliseconds ('': Redis's), how many records may be kept;
-- then for each record its id, its end in milliseconds, and its value, '' to remove it.
local RECORDS, ENDS = KEYS[1], KEYS[2]
local call = redis.call
local now = tonumber(ARGV[1])
if not now then
	local time = call('TIME')
	now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local function remove(id, stored)
	call('HDEL', RECORDS, id)
	call('ZREM', ENDS, string.sub(stored, 1, 16) .. id)
end
for i = 3, #ARGV, 3 do
	local id, ends, value = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
	local stored = call('HGET', RECORDS, id)
	if stored then remove(id, stored) end
	if value ~= '' and ends > now then
		local digits = string.format('%016.0f', ends)
		call('HSET', RECORDS, id, digits .. value)
		call('ZADD', ENDS, 0, digits .. id)
	end
end
-- A few more go than come, so that the expired ones do not pile up.
local over = math.max(call('ZCARD', ENDS) - tonumber(ARGV[2]), 0)
for _, ended in ipairs(call('ZRANGEBYLEX', ENDS, '-', '(' .. string.format('%016.0f', now + 1), 'LIMIT', 0, #ARGV + 16)) do
	remove(string.sub(ended, 17), ended)
	over = over - 1
end
if over > 0 then
	for _, ended in ipairs(call('ZRANGEBYLEX', ENDS, '-', '+', 'LIMIT', 0, over)) do
		remove(string.sub(ended, 17), ended)
	end
end
return {}
