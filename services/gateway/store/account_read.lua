-- Objects of an account and the version that they had at this instant.
-- KEYS: acct:<account>:obj-version, acct:<account>:obj:<kind>. ARGV: key, or nothing for all of the kind.
-- Gives {version, {key, JSON, key, JSON …}}.

local version = redis.call('GET', KEYS[1]) or '0'
if not ARGV[1] then
    return { version, redis.call('HGETALL', KEYS[2]) }
end
local json = redis.call('HGET', KEYS[2], ARGV[1])
return { version, json and { ARGV[1], json } or {} }
