-- Reads a record that has not ended. KEYS: the records. ARGV: the time in
-- milliseconds ('': Redis's), and the id.
local now = tonumber(ARGV[1])
if not now then
	local time = redis.call('TIME')
	now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local stored = redis.call('HGET', KEYS[1], ARGV[2])
if stored and tonumber(string.sub(stored, 1, 16)) > now then
	return {string.sub(stored, 17)}
end
return {}
