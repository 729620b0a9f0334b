-- What this Redis lost is written back: no id that was ever seen is given again, and it is checked once only.
-- KEYS: seq, replid. ARGV: largest id seen, replication id.

if (tonumber(redis.call('GET', KEYS[1])) or -1) < tonumber(ARGV[1]) then
    redis.call('SET', KEYS[1], ARGV[1])
end
redis.call('SET', KEYS[2], ARGV[2])
return 1
