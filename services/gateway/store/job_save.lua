-- Keeps how far a job got, if the caller still holds it.
-- KEYS: jobs. ARGV: id, holder, cursor, ms for which nobody takes it, whether it is finished (0/1).
-- Gives 'ok' or 'stale'.

local jobs, id, holder, cursor, lease = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local job = shard_of(jobs) .. 'job:' .. id
local held = redis.call('HMGET', job, 'holder', 'cursor')
if held[1] ~= holder then
    return 'stale'
end
if ARGV[5] == '1' and redis.call('HDEL', job, 'again') == 1 then -- it was asked for again meanwhile
    redis.call('HSET', job, 'cursor', '', 'tries', '0')
    redis.call('ZADD', jobs, job_score(0), id)
    return 'ok'
end
if ARGV[5] == '1' then
    local of = redis.call('HMGET', job, 'account', 'kind')
    local single = shard_of(jobs) .. 'acct:' .. of[1] .. ':jobs'
    if redis.call('HGET', single, of[2]) == id then
        redis.call('HDEL', single, of[2])
    end
    redis.call('DEL', job)
    redis.call('ZREM', jobs, id)
    return 'ok'
end
if held[2] ~= cursor then -- it got on: what failed before is forgotten
    redis.call('HSET', job, 'cursor', cursor, 'tries', '0')
end
redis.call('ZADD', jobs, job_score(lease), id)
return 'ok'
