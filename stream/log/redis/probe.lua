-- Shows that this Redis takes writes, and says what the processes that share the
-- log know each other by. ARGV[6]: a secret to take if there is none yet.
--
-- Adds to the reply: the secret.
local secret = call('HGET', HEAD, 'secret')
if not secret then
	secret = ARGV[6]
end
call('HSET', HEAD, 'probe', int(time), 'secret', secret)
local answer = reply(0)
answer[#answer + 1] = secret
return answer
