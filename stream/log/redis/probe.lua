-- Shows that this Redis takes writes.
call('HSET', HEAD, 'probe', int(time))
return reply(0)
