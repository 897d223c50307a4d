-- Takes a run to work on it. The second one who does has taken it over from a server that is gone: that is a new attempt,
-- and whatever the other one still says is not heard.
-- KEYS: run, events, order    ARGV: most claims
-- Answers: 'ended', 'enough', or the attempt.
local had = redis.call('HMGET', KEYS[1], 'attempt', 'type', 'claims')
if not had[1] or had[2] or redis.call('EXISTS', KEYS[3]) == 0 then return 'ended' end
if tonumber(had[3]) >= tonumber(ARGV[1]) then return 'enough' end
if redis.call('HINCRBY', KEYS[1], 'claims', 1) == 1 then return had[1] end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'n', 0)
redis.call('HDEL', KEYS[1], 'last')
local attempt = redis.call('HINCRBY', KEYS[1], 'attempt', 1)
redis.call('PUBLISH', KEYS[1], 'claimed')
return tostring(attempt)
