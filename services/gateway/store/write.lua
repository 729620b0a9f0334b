-- Creates or replaces one registration, all indexes with it, or nothing.
-- KEYS: reg. ARGV: id, account, expected revision (0: must not exist), name, place, bucket, enabled (0/1), binding
-- digest, spec, due in ms, event source, traceparent, event data.
-- Gives {'absent' | 'stale' | 'exists' | 'used'}, or {'ok' | 'same', revision, created_at, updated_at, refresh_seq,
-- flush_seq, audit_seq, status, old place, places that may still hold it}.

local reg = KEYS[1]
local id, account, expected, name, place, bucket = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local enabled, binding, spec, due_ms = ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local source, traceparent, data = ARGV[11], ARGV[12], ARGV[13]
local shard = shard_of(reg)
local acct = shard .. 'acct:' .. account .. ':'
local creates = expected == '0'
local LEFT_BYTES = 16 * 17 - 1 -- of the digests of bindings that it left: sixteen

local old = redis.call('HMGET', reg, 'account', 'deleted', 'revision', 'name', 'place', 'binding', 'spec', 'created_at',
    'updated_at', 'moved_from', 'refresh_seq', 'flush_seq', 'audit_seq', 'status', 'enabled',
    'left')
local held_account, deleted, held, old_name, old_place, old_binding = old[1], old[2], old[3], old[4], old[5], old[6]

if creates then
    -- An id that is buried or still being removed is never given again, whatever the sequence says.
    if held_account or redis.call('ZSCORE', shard .. 'gone', id) then
        return { 'used' }
    end
elseif held_account ~= account or deleted then
    return { 'absent' }
elseif held ~= expected then
    return { 'stale' }
elseif old[7] == spec and old_place == place then
    return { 'same', held, old[8], old[9], old[11], old[12], old[13], old[14], old_place, old[10] or '' }
end

local names = acct .. 'names'
if name ~= '' and name ~= old_name then
    local holder = redis.call('HGET', names, name)
    if holder and holder ~= id then
        return { 'exists' }
    end
end

local now = now_ms()
local revision = whole(next_revision(held, now))
local created_at = old[8] or whole(now)
local moved_from = old[10] or ''

if old_name and old_name ~= '' and old_name ~= name and redis.call('HGET', names, old_name) == id then
    redis.call('HDEL', names, old_name)
end
if name ~= '' then
    redis.call('HSET', names, name, id)
end

local twins = acct .. 'by:binding:'
if old_binding and old_binding ~= binding then
    redis.call('ZREM', twins .. old_binding, id)
    -- Its registrant will unbind what a twin may hold, too: report.lua raises the twins then.
    if old[15] == '1' then
        redis.call('HSET', reg, 'left', string.sub(list_with(old[16] or '', old_binding, binding), 1, LEFT_BYTES))
    end
end
if enabled == '1' then
    redis.call('ZADD', twins .. binding, id, id)
elseif old_binding then
    redis.call('ZREM', twins .. binding, id)
end

if old_place and old_place ~= place then
    redis.call('SREM', shard .. 'at:' .. old_place .. ':' .. bucket, id)
    moved_from = list_with(moved_from, old_place, place)
end
redis.call('SADD', shard .. 'at:' .. place .. ':' .. bucket, id)

redis.call('HSET', reg, 'account', account, 'name', name, 'place', place, 'bucket', bucket, 'enabled', enabled,
    'revision', revision, 'spec', spec, 'binding', binding, 'created_at', created_at, 'updated_at', whole(now), 'pause', '0')
if moved_from ~= '' then
    redis.call('HSET', reg, 'moved_from', moved_from)
end
redis.call('ZADD', acct .. 'ids', id, id)
redis.call('ZADD', shard .. 'due', whole(now + due_ms), id)
add_event(shard, creates and 'created' or 'updated', id, account, revision, now, source, traceparent, data)

return { 'ok', revision, created_at, whole(now), old[11], old[12], old[13], old[14], old_place, moved_from }
