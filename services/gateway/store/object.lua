-- Puts an object of the deployment only where there is one, or only where there is none.
-- KEYS: the hash. ARGV: id, whether it must be new (0/1), JSON. Gives 'ok', 'exists' or 'absent'.

local there = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1
if there and ARGV[2] == '1' then
    return 'exists'
elseif not there and ARGV[2] == '0' then
    return 'absent'
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 'ok'
