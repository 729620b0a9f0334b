-- Takes a registration out of every listing at once; hash, place and `due` stay until its removal is proved.
-- KEYS: reg. ARGV: id, account, due in ms, event source, traceparent, event data, revision that must be held ('0': any).
-- Gives {'absent'}, {'stale'} or {'ok', revision, place, spec, whether an enabled twin holds the same binding (0/1), status: ''
-- unless another place may still hold it}.

local reg = KEYS[1]
local id, account, due_ms, source, traceparent, data = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local shard = shard_of(reg)
local acct = shard .. 'acct:' .. account .. ':'

local old = redis.call('HMGET', reg, 'account', 'deleted', 'revision', 'name', 'place', 'binding', 'spec', 'refresh_seq',
    'flush_seq', 'audit_seq', 'moved_from', 'status')
if old[1] ~= account or old[2] then
    return { 'absent' }
elseif ARGV[7] ~= '0' and ARGV[7] ~= old[3] then
    return { 'stale' }
end
local name, binding = old[4], old[6]
local now = now_ms()
local revision = whole(next_revision(old[3], now))

redis.call('ZREM', acct .. 'ids', id)
if name ~= '' and redis.call('HGET', acct .. 'names', name) == id then
    redis.call('HDEL', acct .. 'names', name)
end
redis.call('ZREM', acct .. 'by:binding:' .. binding, id)
redis.call('HSET', reg, 'deleted', '1', 'revision', revision, 'updated_at', whole(now), 'pause', '0')
redis.call('ZADD', shard .. 'due', whole(now + due_ms), id)
add_event(shard, 'deleted', id, account, revision, now, source, traceparent, '"name":' .. cjson.encode(name) .. ',' .. data)

local twin = redis.call('EXISTS', acct .. 'by:binding:' .. binding)
return { 'ok', revision, old[5], with_counters(old[7], old[8], old[9], old[10]), twin,
    old[11] and old[12] or '' }
