-- Puts a registration that was written before there were indexes under its own. One that is under its terms already,
-- because it was written since, stays as it is: what the caller read of it may be old.
-- KEYS: reg. ARGV: id, account, index terms, until when it is bound in ms (0: it is not). Gives whether it was done (0/1).

local reg, id, account, terms = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local acct = shard_of(reg) .. 'acct:' .. account .. ':'
local held = redis.call('HMGET', reg, 'account', 'deleted', 'terms', 'state')
if held[1] ~= account or held[2] or held[3] then
    return 0
end
redis.call('HSET', reg, 'terms', terms)
index_terms(acct, id, false, terms)
index_state(acct, id, false, held[4] or 'pending')
if not redis.call('ZSCORE', acct .. 'live', id) then -- a report since then knows better
    index_live(acct, id, ARGV[4])
end
return 1
