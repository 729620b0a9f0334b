-- Takes late registrations out of one shard's `due` for the caller to publish again; every gateway may call it at
-- any time, and none gets what another got. Who stays silent is asked again after a pause that doubles.
-- KEYS: due. ARGV: most to give, grace in ms, pause in ms after which everything late is put off first, seed.
-- Gives {whether more is waiting (0/1), rows of publish_row}.

local PAUSE_FIRST, PAUSE_LAST = 1000, 300000
local PUT_OFF_SLICE = 1000

local due = KEYS[1]
local limit, grace, gap = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local shard = shard_of(due)
local sweep = shard .. 'sweep'
local now = now_ms()

local held = redis.call('HMGET', sweep, 'at', 'put_off', 'replid')
if not held[3] then -- emptied, and nobody has written back what it held: marks.c sees it by what is not there
    return { 0, {} }
end
local put_off = tonumber(held[2]) or 0
if not held[1] or now - held[1] > gap then
    put_off = now
end
redis.call('HSET', sweep, 'at', whole(now))

-- Nobody swept for a while: the reports that would have moved these on may only now be on their way, and all at
-- once would be a storm.
if put_off > 0 then
    math.randomseed(ARGV[4])
    local late = redis.call('ZRANGEBYSCORE', due, '-inf', whole(put_off), 'LIMIT', 0, PUT_OFF_SLICE)
    for _, id in ipairs(late) do
        redis.call('ZADD', due, whole(now + math.random(1, grace)), id)
    end
    local more = #late == PUT_OFF_SLICE
    redis.call('HSET', sweep, 'put_off', more and whole(put_off) or '0')
    return { more and 1 or 0, {} }
end

local late = redis.call('ZRANGEBYSCORE', due, '-inf', whole(now), 'LIMIT', 0, limit)
local rows = {}
for _, id in ipairs(late) do
    local row = publish_row(shard, id)
    if row then
        local reg = shard .. 'reg:' .. id
        local pause = tonumber(redis.call('HGET', reg, 'pause')) or 0
        pause = math.min(math.max(pause * 2, PAUSE_FIRST), PAUSE_LAST)
        redis.call('HSET', reg, 'pause', whole(pause))
        redis.call('ZADD', due, whole(now + pause), id)
        rows[#rows + 1] = row
    else
        redis.call('ZREM', due, id)
    end
end
return { #late == limit and 1 or 0, rows }
