-- Shows that this Redis takes writes, and adds to the reply the secret by which the
-- processes that share the log know each other.
call('HSET', HEAD, 'probe', int(time))
local answer = reply(0)
answer[#answer + 1] = secret
return answer
