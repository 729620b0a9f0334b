-- Takes what nobody can read out of `due`, unless it was written since it was read. Its time in `due` would not tell: what is
-- written in the millisecond of its claim gets the same.
-- KEYS: due. ARGV: id, revision that was read. Gives whether it was taken out (0/1).

if redis.call('HGET', shard_of(KEYS[1]) .. 'reg:' .. ARGV[1], 'revision') ~= ARGV[2] then
    return 0
end
return redis.call('ZREM', KEYS[1], ARGV[1])
