-- What every script that writes begins with.
--
-- KEYS are the hub's keys. ARGV[1..5]: the epoch that the node speaks of ('' if
-- it knows none), the newest position that it knows there (seq, tag), an epoch
-- and a secret (64 digits) to take if new ones are needed, and the time in
-- milliseconds ('': Redis's).
--
-- Reply: 0, or 1 if the log has another epoch than the node's, or 2 if it has one
-- because it was brought to the format of today just now; then where the
-- log stands, the time, and its sizes; then what the script adds.
local HEAD, FEED, EVENTS, PLACES, INDEX, IDS, CHANNELS, MARKS = unpack(KEYS)
local call = redis.call

-- Counts are kept in HEAD beside the data, so that a key that somebody removed
-- is noticed before anything is written.
local FIELDS = {
	'seq', 'tag', 'at',             -- the newest entry
	'events', 'bytes', 'channels',  -- retained
	'oldest',                       -- no retained entry has a lower seq
	'aged',                         -- up to here entries were dropped for their age
	'expired', 'expired_at',        -- up to here keys are forgotten, but of retained entries
	'forgotten',                    -- what forgotten channels had trimmed
	'feed', 'written', 'feed_from', -- entries in FEED; bytes written ever, and before its first entry
	'index', 'ids', 'known', 'marks', -- sizes of the other keys
	'altered',                      -- messages whose newest change IDS holds
	'blind',                        -- entries up to here have no tags: see upgrade
	'format',
}
local FORMAT = 2
local head = {}
local stored = call('HMGET', HEAD, 'epoch', 'secret', unpack(FIELDS))
local epoch, secret = stored[1], stored[2]
for i, field in ipairs(FIELDS) do
	head[field] = tonumber(stored[i + 2] or 0)
end

local function int(n) return string.format('%.0f', n) end
local function id(seq) return int(seq) .. '-0' end
local function member(token, seq) return token .. string.format('%016x', seq) end
-- What EVENTS holds of an entry: its tag, its time, where in its form the text
-- begins, and 1 if that was changed, in 33 digits; and its form. Entries from before
-- format 2 have only tag and time, and a form that begins with a byte of 1.
local PACKED = 33
local function pack(tag, at, said, changed, encoded)
	return string.format('%010.0f%014.0f%08.0f%d', tag, at, said, changed) .. encoded
end
local function isOld(packed) return string.byte(packed, 25) == 1 end
-- shown is the tag of an entry, as nodes and clients are told.
local function shown(seq, tag) return seq > head.blind and tag or 0 end

local function save()
	local args = {}
	for _, field in ipairs(FIELDS) do
		args[#args + 1] = field
		args[#args + 1] = int(head[field])
	end
	call('HSET', HEAD, 'epoch', epoch, unpack(args))
end

local fresh_epoch = string.sub(ARGV[4], 1, 16)
if not secret then
	secret = string.sub(ARGV[4], 17)
	call('HSET', HEAD, 'secret', secret)
end

local time
if ARGV[5] ~= '' then
	time = tonumber(ARGV[5])
else
	local t = call('TIME')
	time = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local function reply(status)
	return {status, epoch, int(head.seq), int(head.tag), int(head.at), int(time),
		int(head.events), int(head.bytes), int(head.channels), int(head.oldest)}
end

local function whole()
	return epoch
		and call('XLEN', FEED) == head.feed
		and call('HLEN', EVENTS) == head.events
		and call('ZCARD', PLACES) == head.events
		and call('XLEN', INDEX) == head.index
		and call('HLEN', IDS) == head.ids
		and call('HLEN', CHANNELS) == head.known
		and call('HLEN', MARKS) == head.marks
end

-- forked tells whether the node has seen an entry that is not in this log: the
-- log lost its tail, and perhaps used the positions again.
local function forked()
	local seq, tag = tonumber(ARGV[2]), tonumber(ARGV[3])
	if seq >= head.seq then
		return seq > head.seq or tag ~= head.tag
	end
	local entry = call('XRANGE', INDEX, id(seq), id(seq))[1]
	return entry and shown(seq, tonumber(entry[2][2])) ~= tag
end

if not whole() then
	call('UNLINK', FEED, EVENTS, PLACES, INDEX, IDS, CHANNELS, MARKS)
	for _, field in ipairs(FIELDS) do head[field] = 0 end
	epoch, head.at, head.format = fresh_epoch, time, FORMAT
	save()
	return reply(1)
end
if head.format ~= FORMAT then
	-- upgrade: the tags of old were made of what was said, and a listener of one
	-- channel could test what was said in another. So they are not shown any more.
	epoch, head.format, head.blind, head.tag = fresh_epoch, FORMAT, head.seq, 0
	save()
	return reply(2)
end
if ARGV[1] ~= epoch then
	return reply(1)
end
if forked() then
	epoch = fresh_epoch
	save()
	return reply(1)
end
