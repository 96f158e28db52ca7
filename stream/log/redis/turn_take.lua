-- Gives the turn to do something, unless somebody has it, or has done it lately.
-- KEYS: the turns. ARGV: what the turn is for; who takes it; for how long in
-- milliseconds; 1 if it need not be done again.
-- A field holds who has the turn and until when; another one until when it is done.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local done = redis.call('HGET', KEYS[1], ARGV[1] .. ':done')
if ARGV[4] == '1' and done and tonumber(done) > now then
	return {2}
end
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and tonumber(string.match(held, ' (%d+)$')) > now then
	return {0}
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', now + tonumber(ARGV[3])))
return {1}
