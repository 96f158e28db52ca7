-- Gives a turn back. KEYS: the turn; when it was done. ARGV: who has it; for how long
-- it need not be done again, in milliseconds, 0 if it was not done.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
	return {0}
end
redis.call('DEL', KEYS[1])
if tonumber(ARGV[2]) > 0 then
	redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
end
return {1}
