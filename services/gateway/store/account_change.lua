-- Changes objects of an account, accepts a job, or both: all of it or nothing.
-- KEYS: acct:<account>:obj-version. ARGV: account, version that must be held ('' any), kind and args of the job
-- (kind '' none), whether one under way stands for it (0, 1: it begins again at its end, 2: it does not), then for each change kind, key, what is to be done ('set', 'remove', 'clear') and JSON.
-- Gives 'ok' or 'stale'.

local account, wanted, job_kind, job_args = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local shard = shard_of(KEYS[1])
local held = redis.call('GET', KEYS[1]) or '0'
if wanted ~= '' and wanted ~= held then
    return 'stale'
end

for i = 6, #ARGV, 4 do
    local objects = shard .. 'acct:' .. account .. ':obj:' .. ARGV[i]
    if ARGV[i + 2] == 'set' then
        note_seal(shard .. 'acct:' .. account .. ':', now_ms(), string.match(ARGV[i + 3], '"sealed:([%w_-]+):') or '')
        redis.call('HSET', objects, ARGV[i + 1], ARGV[i + 3])
    elseif ARGV[i + 2] == 'remove' then
        redis.call('HDEL', objects, ARGV[i + 1])
    else
        redis.call('DEL', objects)
    end
end
if #ARGV >= 6 then
    note_account(shard, account)
    -- rises like a revision: a version that a fail-over lost is not given again
    redis.call('SET', KEYS[1], whole(next_revision(held, now_ms())))
end

-- Asking again and again adds no job: one that is begun will begin again at its end.
local function takes_it_over(id)
    local held = id and redis.call('HMGET', shard .. 'job:' .. id, 'tries', 'cursor')
    if not held or not held[1] then
        return false
    end
    if ARGV[5] == '2' then
        return true
    end
    if held[1] ~= '0' or held[2] ~= '' then
        redis.call('HSET', shard .. 'job:' .. id, 'again', '1')
    end
    return true
end

local single = shard .. 'acct:' .. account .. ':jobs'
if ARGV[5] ~= '0' and takes_it_over(redis.call('HGET', single, job_kind)) then
    return 'ok'
end
if job_kind ~= '' then
    local id = whole(redis.call('INCR', shard .. 'job-seq'))
    redis.call('HSET', shard .. 'job:' .. id, 'account', account, 'kind', job_kind, 'args', job_args, 'cursor', '',
        'tries', '0')
    redis.call('ZADD', shard .. 'jobs', job_score(0), id)
    if ARGV[5] ~= '0' then
        redis.call('HSET', single, job_kind, id)
    end
end
return 'ok'
