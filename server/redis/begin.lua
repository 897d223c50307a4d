-- Begins a run, or an attempt at one that may run again. All of it, or nothing.
-- KEYS: run, events, order, pdf, open, runs
-- ARGV: id, owner, now, deadline, most open, most runs, most attempts, life of a run, order, life of an order,
--       request ID, waiting span, elapsed; prefix of a run's keys
local id, now = ARGV[1], tonumber(ARGV[3])
local owner = redis.call('HGET', KEYS[1], 'owner')
local attempt = 1
if owner then
  if owner ~= ARGV[2] then return 'other' end
  attempt = tonumber(redis.call('HGET', KEYS[1], 'attempt')) + 1
  local code = redis.call('HGET', KEYS[1], 'code')
  if code ~= 'interrupted' or attempt > tonumber(ARGV[7]) then return 'known' end
end
if redis.call('ZCARD', KEYS[5]) >= tonumber(ARGV[5]) then return 'full' end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[4])
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'attempt', attempt, 'startedAt', now, 'requestId', ARGV[11],
  'span', ARGV[12], 'elapsedMs', ARGV[13], 'n', 0, 'claims', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[8])
redis.call('SET', KEYS[3], ARGV[9], 'PX', ARGV[10])
redis.call('ZADD', KEYS[5], ARGV[4], id)
redis.call('ZADD', KEYS[6], now, id)
-- What Redis has let go by itself, and what must make room: the oldest that has ended.
redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', now - tonumber(ARGV[8]))
local excess = redis.call('ZCARD', KEYS[6]) - tonumber(ARGV[6])
if excess > 0 then
  for _, old in ipairs(redis.call('ZRANGE', KEYS[6], 0, excess + tonumber(ARGV[5]))) do
    if excess <= 0 then break end
    if not redis.call('ZSCORE', KEYS[5], old) then
      redis.call('DEL', ARGV[14] .. old, ARGV[14] .. old .. ':events', ARGV[14] .. old .. ':order', ARGV[14] .. old .. ':pdf')
      redis.call('ZREM', KEYS[6], old)
      excess = excess - 1
    end
  end
end
return 'begun'
