-- Reads a page of the entries of some channels. ARGV: the epoch, after, up to,
-- how many entries and about how many bytes, then the channels.
--
-- Reply: 0, the newest trimmed entry of the channels, 1 if there may be more,
-- then of each entry seq and what EVENTS holds of it.
local after, upto, most, mostBytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local each = math.max(8, math.min(most, math.floor(1024 / (#ARGV - 5))))
local seqs, bound, lost, more = {}, upto, 0, 0
for i = 6, #ARGV do
	local token = ARGV[i]
	lost = math.max(lost, trimmed(token))
	local places = call('ZRANGEBYLEX', PLACES, '[' .. token .. string.format('%016x', after + 1),
		'[' .. token .. string.format('%016x', upto), 'LIMIT', 0, each)
	for _, place in ipairs(places) do
		seqs[#seqs + 1] = tonumber(string.sub(place, -16), 16)
	end
	if #places == each then -- behind its last one here, this channel may have more
		bound = math.min(bound, seqs[#seqs])
		more = 1
	end
end
table.sort(seqs)
local answer, count, bytes = {0, int(lost), 0}, 0, 0
for _, seq in ipairs(seqs) do
	if seq > bound or count == most or bytes >= mostBytes then
		more = 1
		break
	end
	local entry = call('HGET', EVENTS, int(seq))
	if seq <= blind then entry = '0000000000' .. string.sub(entry, 11) end
	answer[#answer + 1], answer[#answer + 2] = int(seq), entry
	count, bytes = count + 1, bytes + #entry - 33 -- without what stands before the form, as the reader counts
end
answer[3] = more
return answer
