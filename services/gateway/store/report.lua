-- Applies one report of a registrant. The pair (epoch, seq) decides between two reports of one place; a report from
-- the place where the registration is now wins over any other place.
-- KEYS: reg. ARGV: id, account, place, epoch, seq, revision applied, state, next in ms (0: silent), status, public
-- status, proof of a removal ('' none), contacts as one text, whether something is bound or asked for (0/1), time of
-- the record in ms, digest of what is bound ('' unknown), grace in ms, wait for the broker in ms, event source, until when
-- it is bound in ms (0: it is not), when what may have bound it was sent in ms (0: nothing).
-- Gives {verdict, whether an event was added (0/1), revision held, rows of publish_row to publish}. Verdicts:
-- 'ok'; 'moving': taken, but it is sent from elsewhere now; 'removed': the deletion is proved, only a grave is left;
-- 'stale'; 'elsewhere': not taken, and it is sent from elsewhere; 'buried', 'twin': life under a grave, 'twin' where
-- an enabled registration holds that binding; 'past': older than the grave; 'orphan': never heard of it; 'stray': not
-- taken either, but what it shows as bound is what no enabled registration should have: its present owner is to remove it.

local GRAVE_MS = 30 * 24 * 3600 * 1000
local TRIM = 100

local reg = KEYS[1]
local id, account, place, state, proof, contacts = ARGV[1], ARGV[2], ARGV[3], ARGV[7], ARGV[11], ARGV[12]
local epoch, seq, applied = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local next_in, grace, ack_wait = tonumber(ARGV[8]), tonumber(ARGV[16]), tonumber(ARGV[17])
local shard = shard_of(reg)
local acct = shard .. 'acct:' .. account .. ':'
local twins = acct .. 'by:binding:'
local due, gone = shard .. 'due', shard .. 'gone'
local now = now_ms()

local held = redis.call('HMGET', reg, 'account', 'revision', 'place', 'deleted', 'moved_from', 'reporter', 'epoch', 'seq',
    'state', 'applied', 'contacts', 'binding', 'bucket', 'left')
local revision, deleted, old_state = tonumber(held[2]) or 0, held[4], held[9]

if held[1] ~= account then
    local grave = not held[1] and redis.call('ZSCORE', gone, id)
    if not grave then
        return { 'orphan', 0, '0', {} }
    elseif ARGV[13] ~= '1' or tonumber(ARGV[14]) <= tonumber(grave) then
        return { 'past', 0, '0', {} }
    end
    return { redis.call('EXISTS', twins .. ARGV[15]) == 1 and 'twin' or 'buried', 0, '0', {} }
end

local here = place == held[3]
local above = true
if held[7] then
    local held_epoch, held_seq = tonumber(held[7]), tonumber(held[8])
    above = epoch > held_epoch or epoch == held_epoch and seq > held_seq
end
local taken
if held[6] == place or not held[6] then
    taken = above
else
    -- Epochs of two places cannot be compared: the new one is known by holding what was published to it.
    taken = here and (above or applied >= revision)
end

-- Epochs are wall clocks at least: what was sent after the present owner's began came of one that did not know of it.
local function refused(verdict, late)
    local strange = late and ARGV[13] == '1' and ARGV[20] ~= '0' and redis.call('EXISTS', twins .. ARGV[15]) == 0
    local row = strange and publish_row(shard, id)
    return { row and 'stray' or verdict, 0, held[2], { row or nil } }
end

if not here and not (taken and held[6] == place) then
    return refused('elsewhere', true)
elseif not taken then
    return refused('stale', held[6] == place and epoch < tonumber(held[7]) and tonumber(ARGV[20]) > tonumber(held[7]))
end

local function event(kind, data)
    local previous = old_state and '"previous_state":"' .. old_state .. '",' or ''
    add_event(shard, kind, id, account, ARGV[6], now, ARGV[18], '', data .. previous .. '"status":' .. ARGV[10])
end

local rows = {}

-- Twins of the present binding, where the registrar saw its unbind, and of those that it left before.
local function raise_all_twins(unbound)
    for binding in string.gmatch((held[14] or '') .. ',' .. (unbound and held[12] or ''), '[^,]+') do
        raise_twins(shard, rows, twins .. binding, id, account, now, ack_wait)
    end
    redis.call('HDEL', reg, 'left')
end

if deleted and here and proof ~= '' and applied >= revision then
    raise_all_twins(proof == 'answered')
    redis.call('DEL', reg)
    if held[13] then
        redis.call('SREM', shard .. 'at:' .. place .. ':' .. held[13], id)
    end
    redis.call('ZREM', due, id)
    redis.call('ZADD', gone, whole(now), id)
    local old = redis.call('ZRANGEBYSCORE', gone, '-inf', whole(now - GRAVE_MS), 'LIMIT', 0, TRIM)
    if #old > 0 then
        redis.call('ZREM', gone, unpack(old))
    end
    event('removed', '"proof":"' .. proof .. '",')
    return { 'removed', 1, held[2], rows }
end

redis.call('HSET', reg, 'status', ARGV[9], 'state', state, 'applied', ARGV[6], 'epoch', ARGV[4], 'seq', ARGV[5],
    'reporter', place, 'contacts', contacts, 'pause', '0')
if here and held[5] then
    redis.call('HDEL', reg, 'moved_from')
end
if not deleted then
    index_state(acct, id, old_state or 'pending', state)
    index_live(acct, id, ARGV[19])
end

local events = 0
if state ~= old_state then
    if state ~= 'registering' and state ~= 'unregistered' then
        event(state, '')
        events = 1
    end
elseif state == 'registered' and held[11] and held[11] ~= contacts then
    event('rebound', '')
    events = 1
end

if applied < revision then
    redis.call('ZADD', due, whole(now + ack_wait), id)
    rows[1] = publish_row(shard, id)
elseif next_in == 0 and not deleted then
    redis.call('ZREM', due, id)
else
    redis.call('ZADD', due, whole(now + next_in + grace), id)
end
local unbound = state == 'disabled' and proof == 'answered' and (old_state ~= state or held[10] ~= ARGV[6])
local settled = applied >= revision and state ~= 'pending' and state ~= 'registering' and state ~= 'retrying' and
    state ~= 'unregistering'
if unbound or held[14] and settled then
    raise_all_twins(unbound)
end
return { here and 'ok' or 'moving', events, held[2], rows }
