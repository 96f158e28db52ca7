-- Gives the turn to do something, unless somebody has it, or has done it lately.
-- KEYS: the turn; when it was done. ARGV: who takes it; for how long in milliseconds;
-- 1 if it need not be done again.
if ARGV[3] == '1' and redis.call('EXISTS', KEYS[2]) == 1 then
	return {2}
end
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
	return {1}
end
return {0}
