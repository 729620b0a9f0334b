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

-- Rises even over writes that a Redis fail-over lost.
local function next_revision(held, now)
    return math.max((tonumber(held) or 0) + 1, now)
end

-- 'rc:{sK}:' of any key of the shard.
local function shard_of(key)
    return string.match(key, '^rc:{[^}]*}:')
end

local OUTBOX_EVENTS = 200000

-- `data`: the event's own members as JSON text without the braces (proto/redis-keys.md, outbox).
local function add_event(shard, kind, id, account, revision, now, source, traceparent, data)
    redis.call('XADD', shard .. 'outbox', 'MAXLEN', '~', OUTBOX_EVENTS, '*', 'type', kind, 'id', id, 'account', account,
        'revision', revision, 'time', whole(now), 'source', source, 'traceparent', traceparent, 'data', data)
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
