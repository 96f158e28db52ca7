-- Removes what is kept of a channel.
--
-- ARGV[6..]: the channel, and how many entries to remove at most.
--
-- Adds to the reply: 1 if there is more to do.
local token, budget = ARGV[6], tonumber(ARGV[7])
local s = state(token)
local page = call('ZRANGEBYLEX', PLACES, '[' .. token, '(' .. token .. 'g', 'LIMIT', 0, budget)
for _, place in ipairs(page) do
	local seq = tonumber(string.sub(place, -16), 16)
	unfeed(seq)
	drop(token, s, seq)
end
if #page > 0 then finish() end
local answer = reply(0)
answer[#answer + 1] = #page == budget and '1' or '0'
return answer
