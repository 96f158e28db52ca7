-- What every script that reads begins with: an answer is about the epoch of the
-- node, ARGV[1], or it is none.
local HEAD, FEED, EVENTS, PLACES, INDEX, IDS, CHANNELS, MARKS = unpack(KEYS)
local call = redis.call
local function int(n) return string.format('%.0f', n) end
local function id(seq) return int(seq) .. '-0' end
local marks = call('HMGET', HEAD, 'epoch', 'blind')
local blind = tonumber(marks[2] or 0)
local function trimmed(token)
	local state = call('HGET', CHANNELS, token)
	return tonumber(state and string.match(state, '^%d+') or call('HGET', HEAD, 'forgotten'))
end
if marks[1] ~= ARGV[1] then
	return {1}
end
