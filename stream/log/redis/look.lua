-- What every script that reads begins with: an answer is about the epoch of the
-- node, ARGV[1], or it is none.
local HEAD, FEED, EVENTS, PLACES, INDEX, IDS, CHANNELS, MARKS = unpack(KEYS)
local call = redis.call
local function int(n) return string.format('%.0f', n) end
local function id(seq) return int(seq) .. '-0' end
local function trimmed(token)
	local state = call('HGET', CHANNELS, token)
	return tonumber(state and string.match(state, '^%d+') or call('HGET', HEAD, 'forgotten'))
end
if call('HGET', HEAD, 'epoch') ~= ARGV[1] then
	return {1}
end
