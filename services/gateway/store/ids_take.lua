-- Takes ids for new registrations. Where there is no sequence it was lost, and the ids that it would begin with again were
-- given before: nobody gets one until approve.lua has made another.
-- KEYS: seq. ARGV: how many. Gives the last of them, or nil.

if redis.call('EXISTS', KEYS[1]) == 0 then
    return nil
end
return redis.call('INCRBY', KEYS[1], ARGV[1])
