-- Raises a command counter of one registration, or of all that would hold one binding: each gets a new revision
-- and is to be published. The stored specification and updated_at stay: nothing was configured.
-- KEYS: reg of the one; or by:binding:<digest>. ARGV: counter ('refresh_seq' …), account, due in ms, id (only
-- where the key is a reg).
-- Gives a row for each: {id, revision, place, spec, status or false}; none where there is no such registration.

local counter_name, account, due_ms, only = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local shard = shard_of(KEYS[1])
local ids = only and { only } or redis.call('ZRANGE', KEYS[1], 0, -1)
local now = now_ms()
local rows = {}

for _, id in ipairs(ids) do
    local reg = shard .. 'reg:' .. id
    local held = redis.call('HMGET', reg, 'account', 'deleted', 'revision')
    if held[1] == account and not held[2] then
        local revision = whole(next_revision(held[3], now))
        redis.call('HINCRBY', reg, counter_name, 1)
        redis.call('HSET', reg, 'revision', revision, 'pause', '0')
        redis.call('ZADD', shard .. 'due', whole(now + due_ms), id)
        local now_held = redis.call('HMGET', reg, 'place', 'spec', 'refresh_seq', 'flush_seq', 'audit_seq', 'status')
        rows[#rows + 1] = { id, revision, now_held[1],
            with_counters(now_held[2], now_held[3], now_held[4], now_held[5]), now_held[6] }
    end
end
return rows
