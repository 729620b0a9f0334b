-- Reads registrations of one shard as they would be published.
-- KEYS: any key of the shard. ARGV: place, then ids. Gives rows of publish_row; none for those that are gone or were
-- moved to another place meanwhile.

local shard = shard_of(KEYS[1])
local rows = {}
for i = 2, #ARGV do
    local row = publish_row(shard, ARGV[i])
    if row and row[4] == ARGV[1] then
        rows[#rows + 1] = row
    end
end
return rows
