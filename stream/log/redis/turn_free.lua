-- Gives a turn back. KEYS: the turns. ARGV: what the turn is for; who has it; for how
-- long it need not be done again, in milliseconds, 0 if it was not done.
local held = redis.call('HGET', KEYS[1], ARGV[1])
if not held or string.match(held, '^%S+') ~= ARGV[2] then
	return {0}
end
redis.call('HDEL', KEYS[1], ARGV[1], ARGV[1] .. ':done')
if tonumber(ARGV[3]) > 0 then
	local t = redis.call('TIME')
	local now = t[1] * 1000 + math.floor(t[2] / 1000)
	redis.call('HSET', KEYS[1], ARGV[1] .. ':done', string.format('%.0f', now + tonumber(ARGV[3])))
end
return {1}
