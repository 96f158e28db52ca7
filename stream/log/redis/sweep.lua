-- Removes some of what retention no longer keeps.
--
-- ARGV[6..]: retention (events, bytes), the time before which entries are too
-- old and the one before which keys are ('' for neither), how many entries to
-- look at, and where to go on looking at channels ('' if not at all).
--
-- Adds to the reply: 1 if there is more to do, and where to go on.
local step, cursor = tonumber(ARGV[10]), ARGV[11]
local more = false

-- old calls f with entries from a place on while they are older than a time.
local function old(from, before, f)
	local page = call('XRANGE', INDEX, id(from), '+', 'COUNT', step)
	for _, entry in ipairs(page) do
		local seq, at = tonumber(string.match(entry[1], '^%d+')), tonumber(entry[2][4])
		if at >= before then return end
		f(seq, at, state(entry[2][6]), entry[2])
	end
	more = more or #page == step
end

if ARGV[8] ~= '' then
	old(head.aged + 1, tonumber(ARGV[8]), function(seq, at, s, entry)
		if s.known and seq > s.trimmed then drop(entry[6], s, seq) end
		head.aged, changed = seq, true
	end)
end
if ARGV[9] ~= '' then
	old(head.expired + 1, tonumber(ARGV[9]), function(seq, at, s, entry)
		if not (s.known and seq > s.trimmed) then forget(seq, entry) end
		head.expired, head.expired_at, changed = seq, at, true
	end)
end
if cursor ~= '' then
	local page = call('HSCAN', CHANNELS, cursor, 'COUNT', 16)
	local left, over = step, false
	for i = 1, #page[2], 2 do
		local token = page[2][i]
		local behind
		left, behind = trim(token, state(token), tonumber(ARGV[6]), tonumber(ARGV[7]), left)
		over = over or behind
	end
	if not over then cursor = page[1] ~= '0' and page[1] or '' end
	more = more or cursor ~= ''
end
if changed then finish() end
local answer = reply(0)
answer[#answer + 1], answer[#answer + 2] = more and '1' or '0', cursor
return answer
