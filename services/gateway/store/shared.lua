-- What all scripts share; embed.py puts it before each of them. Times are Redis TIME in milliseconds, so that
-- no clock of a gateway decides anything.

local function now_ms()
    local t = redis.call('TIME')
    return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- tostring() would give 1.7e+12.
local function whole(number)
    return string.format('%.0f', number)
end

-- The score of a job that is nobody's in so many milliseconds. Finer than those, so that of two jobs whose
-- slices take less the one that waited longer comes first.
local function job_score(after_ms)
    local t = redis.call('TIME')
    return string.format('%.3f', t[1] * 1000 + t[2] / 1000 + after_ms)
end

-- Rises even over writes that a Redis fail-over lost.
local function next_revision(held, now)
    return math.max((tonumber(held) or 0) + 1, now)
end

-- 'rc:{sK}:' of any key of the shard.
local function shard_of(key)
    return string.match(key, '^rc:{[^}]*}:')
end

-- The largest id that the shard was given: the sequence may be lost without the shard, with another server of a cluster.
local function note_id(shard, id)
    local last = redis.call('HGET', shard .. 'sweep', 'last')
    if not last or tonumber(last) < tonumber(id) then
        redis.call('HSET', shard .. 'sweep', 'last', id)
    end
end

-- A comma-separated list with `new` as its first item, and without `but`.
local function list_with(list, new, but)
    local items = {}
    if new ~= but then
        items[1] = new
    end
    for item in string.gmatch(list, '[^,]+') do
        if item ~= new and item ~= but then
            items[#items + 1] = item
        end
    end
    return table.concat(items, ',')
end

local OUTBOX_EVENTS = 200000

-- `data`: the event's own members as JSON text without the braces (proto/redis-keys.md, outbox).
local function add_event(shard, kind, id, account, revision, now, source, traceparent, data)
    redis.call('XADD', shard .. 'outbox', 'MAXLEN', '~', OUTBOX_EVENTS, '*', 'type', kind, 'id', id, 'account', account,
        'revision', revision, 'time', whole(now), 'source', source, 'traceparent', traceparent, 'data', data)
end

-- A secret under another key than the account's are to be sealed with (proto/redis-keys.md, kind `sealed`) ends the proof
-- that all are. `key`: the one that it is under, '' where there is no secret.
local function note_seal(acct, now, key)
    local wanted = key ~= '' and redis.call('HGET', acct .. 'obj:sealed', 'wanted')
    if wanted and wanted ~= '"' .. key .. '"' then
        redis.call('HDEL', acct .. 'obj:sealed', 'with')
        redis.call('HSET', acct .. 'obj:sealed', 'again', 'true')
        redis.call('SET', acct .. 'obj-version', whole(next_revision(redis.call('GET', acct .. 'obj-version'), now)))
    end
end

-- Whoever does something for every account finds it here, whatever the principals file says by then.
local function note_account(shard, account)
    redis.call('SADD', shard .. 'accounts', account)
end

-- Fields of a hash; none at all where the key is of another type: one damaged registration is no reason for a script
-- to fail that reads many.
local function fields(key, ...)
    local found = redis.pcall('HMGET', key, ...)
    return found.err and {} or found
end

local function counter(name, count)
    return count and count ~= '0' and ',"' .. name .. '":' .. count or ''
end

-- The specification as it is read and published: the stored text with the command counters that are not zero.
local function with_counters(spec, refresh, flush, audit)
    if not (refresh or flush or audit) then
        return spec
    end
    return string.sub(spec, 1, -2) .. counter('refresh_seq', refresh) .. counter('flush_seq', flush) ..
        counter('audit_seq', audit) .. '}'
end

-- All that publishing the present state of one registration takes, or nil where there is none, or a part is missing:
-- {id, account, revision, place, deleted (0/1), spec, status, twin (0/1), moved_from}.
local function publish_row(shard, id)
    local held = fields(shard .. 'reg:' .. id, 'account', 'revision', 'place', 'deleted', 'spec', 'refresh_seq',
        'flush_seq', 'audit_seq', 'status', 'binding', 'moved_from')
    local account = held[1]
    if not (account and held[2] and held[3] and held[5]) then
        return nil
    end
    local twin = 0
    if held[4] and held[10] then
        twin = redis.call('EXISTS', shard .. 'acct:' .. account .. ':by:binding:' .. held[10])
    end
    return { id, account, held[2], held[3], held[4] or '0', with_counters(held[5], held[6], held[7], held[8]),
        held[9] or '', twin, held[11] or '' }
end

-- One more of a command counter is a new revision that is to be published. Gives whether there is such a
-- registration.
local function raise_counter(shard, id, account, name, now, due_ms)
    local reg = shard .. 'reg:' .. id
    local held = fields(reg, 'account', 'deleted', 'revision')
    if held[1] ~= account or held[2] then
        return false
    end
    redis.call('HINCRBY', reg, name, 1)
    redis.call('HSET', reg, 'revision', whole(next_revision(held[3], now)), 'pause', '0')
    redis.call('ZADD', shard .. 'due', whole(now + due_ms), id)
    return true
end

-- What the registrar unbound of registration `id` was the binding of every twin in the index `twins`, too: each
-- registers again. Appends a publish_row for each.
local function raise_twins(shard, rows, twins, id, account, now, due_ms)
    for _, twin in ipairs(redis.call('ZRANGE', twins, 0, -1)) do
        if twin ~= id and raise_counter(shard, twin, account, 'refresh_seq', now, due_ms) then
            rows[#rows + 1] = publish_row(shard, twin)
        end
    end
end

-- ---- indexes of an account: proto/redis-keys.md, by:<field>:<value>. `acct` is 'rc:{sK}:acct:<account>:'.

-- Moves a registration from the terms `old` (false: it was under none) to the terms `new`, both one a line.
local function index_terms(acct, id, old, new)
    if old == new then
        return
    end
    local kept = {}
    for term in string.gmatch(new, '[^\n]+') do
        kept[term] = true
        redis.call('ZADD', acct .. 'by:' .. term, id, id)
    end
    for term in string.gmatch(old or '', '[^\n]+') do
        if not kept[term] then
            redis.call('ZREM', acct .. 'by:' .. term, id)
        end
    end
end

-- The same for the state as last reported; false: none. 'registered' has no index, because it would hold nearly all:
-- it is what stands under no other state.
local function index_state(acct, id, old, new)
    if old == new then
        return
    end
    if old and old ~= 'registered' then
        redis.call('ZREM', acct .. 'by:state:' .. old, id)
    end
    if new and new ~= 'registered' then
        redis.call('ZADD', acct .. 'by:state:' .. new, id, id)
    end
end

-- Until when what was reported is bound, ms; '0': nothing is.
local function index_live(acct, id, expires_at)
    if expires_at == '0' then
        redis.call('ZREM', acct .. 'live', id)
    else
        redis.call('ZADD', acct .. 'live', expires_at, id)
    end
end

-- Off every listing.
local function unindex(acct, id, name, binding, terms, state)
    redis.call('ZREM', acct .. 'ids', id)
    redis.call('ZREM', acct .. 'live', id)
    if name and name ~= '' and redis.call('HGET', acct .. 'names', name) == id then
        redis.call('HDEL', acct .. 'names', name)
    end
    if binding then
        redis.call('ZREM', acct .. 'by:binding:' .. binding, id)
    end
    index_terms(acct, id, terms, '')
    index_state(acct, id, state or 'pending', false)
end
