-- Gives the job that has waited longest to the caller, for so long that its death does not hold it up.
-- KEYS: jobs. ARGV: holder, lease in ms. Gives {id, account, kind, args, cursor, tries} or nil.

local jobs, holder, lease = KEYS[1], ARGV[1], tonumber(ARGV[2])
local shard = shard_of(jobs)

for _, id in ipairs(redis.call('ZRANGEBYSCORE', jobs, '-inf', job_score(0), 'LIMIT', 0, 10)) do
    local job = shard .. 'job:' .. id
    local held = redis.call('HMGET', job, 'account', 'kind', 'args', 'cursor')
    if held[1] then
        redis.call('ZADD', jobs, job_score(lease), id)
        redis.call('HSET', job, 'holder', holder)
        local tries = redis.call('HINCRBY', job, 'tries', 1)
        return { id, held[1], held[2], held[3], held[4], tries }
    end
    redis.call('ZREM', jobs, id) -- its hash was lost
end
return nil
