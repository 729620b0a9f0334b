-- Writes back one published change that Redis may have lost, with all indexes; what Redis holds in that revision or a
-- newer one, and what is buried, stays as it is.
-- KEYS: reg. ARGV: id, account, revision, removed (0/1), name, place, bucket, enabled (0/1), binding digest, spec,
-- refresh_seq, flush_seq, audit_seq, grace in ms, seed, time of creation where Redis holds none, index terms, then status,
-- state, applied, epoch, seq, reporter, until when it is bound in ms (0: it is not) where the change carried a report.
-- Gives 'restored', 'held' or 'buried'.

local reg = KEYS[1]
local id, account, revision, removed, name = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5]
local place, bucket, enabled, binding = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local shard = shard_of(reg)
local acct = shard .. 'acct:' .. account .. ':'
local now = now_ms()

if redis.call('ZSCORE', shard .. 'gone', id) then
    return 'buried'
end
local old = redis.call('HMGET', reg, 'account', 'revision', 'name', 'place', 'binding', 'created_at', 'moved_from', 'epoch',
    'terms', 'state', 'seq')
-- Changes of one registration come from several topics where it was moved, in any order.
local created_at = old[6] and tonumber(old[6]) < tonumber(ARGV[16]) and old[6] or ARGV[16]
if old[1] == account and created_at ~= old[6] then
    redis.call('HSET', reg, 'created_at', created_at)
end
if old[1] and (old[1] ~= account or tonumber(old[2]) >= tonumber(revision)) then
    return 'held'
end

-- What is written back comes in any order, so whoever held the name may be about to give it up: of two the one that was
-- written last has it.
local function take_name()
    local holder = redis.call('HGET', acct .. 'names', name)
    local theirs = holder and redis.call('HGET', shard .. 'reg:' .. holder, 'revision')
    if not theirs or tonumber(theirs) <= tonumber(revision) then
        redis.call('HSET', acct .. 'names', name, id)
    end
end

-- Off with the indexes of the older one.
local expires_at = old[1] and redis.call('ZSCORE', acct .. 'live', id) or '0'
if old[1] then
    unindex(acct, id, old[3], old[5], old[9], old[10])
end
if old[4] and old[4] ~= place then
    redis.call('SREM', shard .. 'at:' .. old[4] .. ':' .. bucket, id)
    redis.call('HSET', reg, 'moved_from', list_with(old[7] or '', old[4], place))
end

note_seal(acct, now, '*') -- by whichever gateway, with whichever ring
-- The revision is the time of its write unless writes came faster than the clock.
redis.call('HSET', reg, 'account', account, 'name', name, 'place', place, 'bucket', bucket, 'enabled', enabled,
    'revision', revision, 'spec', ARGV[10], 'binding', binding, 'terms', ARGV[17], 'created_at', created_at,
    'updated_at', revision, 'pause', '0')
for i, counter_name in ipairs({ 'refresh_seq', 'flush_seq', 'audit_seq' }) do
    if ARGV[10 + i] ~= '0' then
        redis.call('HSET', reg, counter_name, ARGV[10 + i])
    end
end
local state = old[10]
local newer = ARGV[18] and (not old[8] or tonumber(ARGV[21]) > tonumber(old[8]) or
    (tonumber(ARGV[21]) == tonumber(old[8]) and tonumber(ARGV[22]) > tonumber(old[11] or '0')))
if newer then
    redis.call('HSET', reg, 'status', ARGV[18], 'state', ARGV[19], 'applied', ARGV[20], 'epoch', ARGV[21], 'seq', ARGV[22],
        'reporter', ARGV[23])
    state, expires_at = ARGV[19], ARGV[24]
end

if removed then
    redis.call('HSET', reg, 'deleted', '1')
    redis.call('HDEL', reg, 'terms')
else
    redis.call('ZADD', acct .. 'ids', id, id)
    if name ~= '' then
        take_name()
    end
    if enabled == '1' then
        redis.call('ZADD', acct .. 'by:binding:' .. binding, id, id)
    end
    index_terms(acct, id, false, ARGV[17])
    index_state(acct, id, false, state or 'pending')
    index_live(acct, id, expires_at)
end
redis.call('SADD', shard .. 'at:' .. place .. ':' .. bucket, id)
note_id(shard, id)
note_account(shard, account)

-- The owner has it already or hears of it by the sweep; its report is missed either way.
math.randomseed(ARGV[15])
redis.call('ZADD', shard .. 'due', whole(now + math.random(1, tonumber(ARGV[14]))), id)
return 'restored'
