-- Makes one gateway, for a while, the only one that drains a shard's outbox.
-- KEYS: outbox:owner, outbox. ARGV: who asks, for how long in ms (0: no longer).
-- Gives {whether it is theirs (0/1), events waiting}.

local owner = redis.call('GET', KEYS[1])
local waiting = redis.call('XLEN', KEYS[2])
if owner and owner ~= ARGV[1] then
    return { 0, waiting }
elseif ARGV[2] == '0' then
    redis.call('DEL', KEYS[1])
    return { 0, waiting }
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { 1, waiting }
