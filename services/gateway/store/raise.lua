-- Raises a command counter of one registration: it gets a new revision and is to be published. The stored
-- specification and updated_at stay: nothing was configured.
-- KEYS: reg. ARGV: id, account, counter ('refresh_seq' …), due in ms.
-- Gives its publish_row, or nothing where there is no such registration.

local id, account, counter_name, due_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local shard = shard_of(KEYS[1])

return raise_counter(shard, id, account, counter_name, now_ms(), due_ms) and publish_row(shard, id)
