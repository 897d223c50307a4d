-- Keeps a PDF, unless the run has ended or is somebody else's by now.
-- KEYS: run, pdf    ARGV: attempt, pdf, life of a run
local had = redis.call('HMGET', KEYS[1], 'attempt', 'type')
if had[1] ~= ARGV[1] or had[2] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return 1
