-- The broker has these revisions: their reports are awaited from now on. Never brings a time nearer, so that the
-- sweep's pauses hold.
-- KEYS: due. ARGV: wait for the report in ms, then id and revision of each. Gives how many are awaited.

local due = KEYS[1]
local shard = shard_of(due)
local score = whole(now_ms() + ARGV[1])
local awaited = 0

for i = 2, #ARGV, 2 do
    local held = fields(shard .. 'reg:' .. ARGV[i], 'revision', 'applied')
    if held[1] == ARGV[i + 1] and (tonumber(held[2]) or 0) < tonumber(held[1]) then
        redis.call('ZADD', due, 'XX', 'GT', score, ARGV[i])
        awaited = awaited + 1
    end
end
return awaited
