-- Creates, replaces and deletes registrations of one account with all their indexes: all that is asked for, or nothing.
-- KEYS: reg of the first. ARGV: account, due in ms, event source, traceparent, digest of an idempotency key ('' none),
-- digest of the request it stands for, version that the account's objects must have ('' any), count of the terms that at
-- most one registration may have afterwards, those terms, then ITEM_ARGS for each registration.
-- Gives {'ok', an answer for each}; {'replayed', id}: the idempotency key made that one before; or what forbids it:
-- {'reused'}: it was used for another request; {'outdated'}: the objects have another version; {'crowded'}: a term would be
-- had twice; {'absent' | 'stale' | 'exists' | 'used' | 'twice', index of the item}. An answer: of one written see write_item,
-- of one deleted see delete_item.

local ITEM_ARGS = 12
local IDEMPOTENCY_S = 24 * 3600
local LEFT_BYTES = 16 * 17 - 1 -- of the digests of bindings that it left: sixteen

local account, due_ms, source, traceparent = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local key_digest, fingerprint, objects_version, unique_count = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
local shard = shard_of(KEYS[1])
local acct = shard .. 'acct:' .. account .. ':'
local names, twins = acct .. 'names', acct .. 'by:binding:'
local now = now_ms()

-- `expected`: the revision that must be held; '0' of a creation, which nothing may be, and of a deletion, where any may.
-- A deletion has nothing more but `data`, the event's. key: the one that its secrets are sealed with, '*' several, ''
-- none. A 'reseal' is an update of which nobody is told: nothing was configured.
local function item_at(first)
    return { kind = ARGV[first], id = ARGV[first + 1], expected = ARGV[first + 2], name = ARGV[first + 3],
        place = ARGV[first + 4], bucket = ARGV[first + 5], enabled = ARGV[first + 6], binding = ARGV[first + 7],
        spec = ARGV[first + 8], terms = ARGV[first + 9], data = ARGV[first + 10], key = ARGV[first + 11], reg = shard .. 'reg:' .. ARGV[first + 1] }
end

local function read_held(reg)
    local h = redis.call('HMGET', reg, 'account', 'deleted', 'revision', 'name', 'place', 'binding', 'spec', 'created_at',
        'updated_at', 'moved_from', 'refresh_seq', 'flush_seq', 'audit_seq', 'status', 'enabled', 'left', 'terms', 'state')
    return { account = h[1], deleted = h[2], revision = h[3], name = h[4], place = h[5], binding = h[6], spec = h[7],
        created_at = h[8], updated_at = h[9], moved_from = h[10], refresh = h[11], flush = h[12], audit = h[13],
        status = h[14], enabled = h[15], left = h[16], terms = h[17], state = h[18] }
end

-- What forbids an item by itself, or nil.
local function refusal(item)
    local held = item.held
    if item.kind == 'create' then
        -- An id that is buried or still being removed is never given again, whatever the sequence says.
        return (held.account or redis.call('ZSCORE', shard .. 'gone', item.id)) and 'used' or nil
    elseif held.account ~= account or held.deleted then
        return 'absent'
    elseif item.expected ~= held.revision and (item.kind ~= 'delete' or item.expected ~= '0') then
        return 'stale'
    end
end

-- The index of an item that wants a name which is not free once all is done, or nil.
local function name_conflict(items)
    local freed, taken = {}, {}
    for _, item in ipairs(items) do
        if item.held.name and item.held.name ~= item.name then
            freed[item.held.name] = item.id
        end
    end
    for i, item in ipairs(items) do
        local name = item.name
        if name ~= '' and item.kind ~= 'delete' then
            local holder = name ~= item.held.name and redis.call('HGET', names, name)
            if taken[name] or holder and holder ~= item.id and freed[name] ~= holder then
                return i
            end
            taken[name] = true
        end
    end
end

local function is_under(terms, term)
    return terms and string.find('\n' .. terms .. '\n', '\n' .. term .. '\n', 1, true) and 1 or 0
end

-- How many would be under a term once all is done.
local function count_under(items, term)
    local count = redis.call('ZCARD', acct .. 'by:' .. term)
    for _, item in ipairs(items) do
        if not item.same then
            count = count - is_under(item.held.terms, term) + is_under(item.terms, term)
        end
    end
    return count
end

-- Of what a name and the twins' index say, and where snapshots look.
local function index_item(item)
    local held, id, name, binding = item.held, item.id, item.name, item.binding
    if held.name and held.name ~= '' and held.name ~= name and redis.call('HGET', names, held.name) == id then
        redis.call('HDEL', names, held.name)
    end
    if name ~= '' then
        -- One that it had already is another's where a write-back found two of that name.
        redis.call(name == held.name and 'HSETNX' or 'HSET', names, name, id)
    end
    if held.binding and held.binding ~= binding then
        redis.call('ZREM', twins .. held.binding, id)
        -- Its registrant will unbind what a twin may hold, too: report.lua raises the twins then.
        if held.enabled == '1' then
            local left = list_with(held.left or '', held.binding, binding)
            redis.call('HSET', item.reg, 'left', string.sub(left, 1, LEFT_BYTES))
        end
    end
    if item.enabled == '1' then
        redis.call('ZADD', twins .. binding, id, id)
    elseif held.binding then
        redis.call('ZREM', twins .. binding, id)
    end
    if held.place and held.place ~= item.place then
        redis.call('SREM', shard .. 'at:' .. held.place .. ':' .. item.bucket, id)
    end
    redis.call('SADD', shard .. 'at:' .. item.place .. ':' .. item.bucket, id)
    redis.call('ZADD', acct .. 'ids', id, id)
    index_terms(acct, id, held.terms, item.terms)
    if not held.terms then
        index_state(acct, id, false, held.state or 'pending')
    end
end

-- Gives {'ok' | 'same', revision, created_at, updated_at, refresh_seq, flush_seq, audit_seq, status, old place, places
-- that may still hold it}.
local function write_item(item)
    local held, id = item.held, item.id
    if item.same then
        return { 'same', held.revision, held.created_at, held.updated_at, held.refresh, held.flush, held.audit, held.status,
            held.place, held.moved_from or '' }
    end
    local revision = whole(next_revision(held.revision, now))
    local created_at = held.created_at or whole(now)
    local updated_at = item.kind == 'reseal' and held.updated_at or whole(now)
    local moved_from = held.moved_from or ''
    if held.place and held.place ~= item.place then
        moved_from = list_with(moved_from, held.place, item.place)
    end
    index_item(item)
    redis.call('HSET', item.reg, 'account', account, 'name', item.name, 'place', item.place, 'bucket', item.bucket,
        'enabled', item.enabled, 'revision', revision, 'spec', item.spec, 'binding', item.binding, 'terms', item.terms,
        'created_at', created_at, 'updated_at', updated_at, 'pause', '0')
    note_seal(acct, now, item.key)
    if moved_from ~= '' then
        redis.call('HSET', item.reg, 'moved_from', moved_from)
    end
    redis.call('ZADD', shard .. 'due', whole(now + due_ms), id)
    if item.kind ~= 'reseal' then
        add_event(shard, item.kind == 'create' and 'created' or 'updated', id, account, revision, now, source, traceparent,
            item.data)
    end
    return { 'ok', revision, created_at, updated_at, held.refresh, held.flush, held.audit, held.status, held.place,
        moved_from }
end

-- Off every listing at once; hash, place and `due` stay until the removal is proved. Gives {'ok', revision, place, spec,
-- whether an enabled twin holds the same binding (0/1), status: '' unless another place may still hold it}.
local function delete_item(item)
    local held, id = item.held, item.id
    local revision = whole(next_revision(held.revision, now))
    unindex(acct, id, held.name, held.binding, held.terms, held.state)
    redis.call('HDEL', item.reg, 'terms')
    redis.call('HSET', item.reg, 'deleted', '1', 'revision', revision, 'updated_at', whole(now), 'pause', '0')
    redis.call('ZADD', shard .. 'due', whole(now + due_ms), id)
    add_event(shard, 'deleted', id, account, revision, now, source, traceparent,
        '"name":' .. cjson.encode(held.name or '') .. ',' .. item.data)
    return { 'ok', revision, held.place, with_counters(held.spec, held.refresh, held.flush, held.audit), 0,
        held.moved_from and held.status or '' }
end

local made_key = shard .. 'idem:' .. account .. ':' .. key_digest
local made = key_digest ~= '' and redis.call('GET', made_key)
if made then
    local of, id = string.match(made, '^(%S*) (%d+)$')
    return of == fingerprint and { 'replayed', id } or { 'reused' }
end

if objects_version ~= '' and objects_version ~= (redis.call('GET', acct .. 'obj-version') or '0') then
    return { 'outdated' }
end

local items, seen = {}, {}
for first = 9 + unique_count, #ARGV, ITEM_ARGS do
    local item = item_at(first)
    item.held = read_held(item.reg)
    items[#items + 1] = item
    local why = refusal(item) or seen[item.id] and 'twice'
    if why then
        return { why, #items - 1 }
    end
    seen[item.id] = true
    item.same = item.kind == 'update' and item.held.spec == item.spec and item.held.place == item.place
end
local conflict = name_conflict(items)
if conflict then
    return { 'exists', conflict - 1 }
end
for i = 1, unique_count do
    if count_under(items, ARGV[8 + i]) > 1 then
        return { 'crowded' }
    end
end

local answers, largest = { 'ok' }, 0
for i, item in ipairs(items) do
    answers[i + 1] = item.kind == 'delete' and delete_item(item) or write_item(item)
    largest = item.kind == 'create' and math.max(largest, tonumber(item.id)) or largest
end
note_account(shard, account)
if largest > 0 then
    note_id(shard, whole(largest))
end
for i, item in ipairs(items) do
    if item.kind == 'delete' then
        answers[i + 1][5] = redis.call('EXISTS', twins .. (item.held.binding or ''))
    end
end
if key_digest ~= '' then
    redis.call('SET', made_key, fingerprint .. ' ' .. items[1].id, 'EX', IDEMPOTENCY_S)
end
return answers
