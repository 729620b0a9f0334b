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
    if raise_counter(shard, id, account, counter_name, now, due_ms) then
        local held = redis.call('HMGET', shard .. 'reg:' .. id, 'revision', 'place', 'spec', 'refresh_seq', 'flush_seq',
            'audit_seq', 'status')
        rows[#rows + 1] = { id, held[1], held[2], with_counters(held[3], held[4], held[5], held[6]), held[7] }
    end
end
return rows
