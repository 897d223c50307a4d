-- Says what has happened, unless the run has ended or is somebody else's by now.
-- KEYS: run, events    ARGV: attempt, ids an attempt has, type, event, life of a run
local had = redis.call('HMGET', KEYS[1], 'attempt', 'type', 'n')
if had[1] ~= ARGV[1] or had[2] then return 0 end
-- The end has its place, however often the others have changed theirs.
if tonumber(had[3]) >= tonumber(ARGV[2]) - 2 then return 1 end
local n = redis.call('HINCRBY', KEYS[1], 'n', 1)
redis.call('HSET', KEYS[1], 'last', ARGV[3])
redis.call('XADD', KEYS[2], ((tonumber(ARGV[1]) - 1) * tonumber(ARGV[2]) + n) .. '-0', 'event', ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('PUBLISH', KEYS[1], 'event')
return 1
