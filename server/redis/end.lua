-- Ends a run, once, and puts what endpoints are told of it into the outbox: both or neither. With it goes the resume.
-- KEYS: run, events, order, pdf, open, outbox's letters, due, created, disabled, dead
-- ARGV: id, attempt, ids an attempt has, type, code, event, now, life of a run, most waiting, most dead, message as JSON or
--       '', endpoints…
local had = redis.call('HMGET', KEYS[1], 'attempt', 'type')
if had[1] ~= ARGV[2] or had[2] then return { 0, 0 } end
local n = redis.call('HINCRBY', KEYS[1], 'n', 1)
redis.call('HSET', KEYS[1], 'type', ARGV[4], 'code', ARGV[5], 'end', ARGV[6], 'last', ARGV[4])
redis.call('XADD', KEYS[2], ((tonumber(ARGV[2]) - 1) * tonumber(ARGV[3]) + n) .. '-0', 'event', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[8])
redis.call('PEXPIRE', KEYS[2], ARGV[8])
redis.call('DEL', KEYS[3])
if ARGV[4] ~= 'done' then redis.call('DEL', KEYS[4]) end
redis.call('ZREM', KEYS[5], ARGV[1])
local lost = 0
if ARGV[11] ~= '' then
  local message = cjson.decode(ARGV[11])
  for at = 12, #ARGV do
    local endpoint = ARGV[at]
    local key = message.id .. ' ' .. endpoint
    if redis.call('HEXISTS', KEYS[9], endpoint) == 0 and redis.call('HEXISTS', KEYS[6], key) == 0 then
      message.endpoint, message.createdAt, message.attempts, message.reason = endpoint, tonumber(ARGV[7]), 0, ''
      redis.call('HSET', KEYS[6], key, cjson.encode(message))
      redis.call('ZADD', KEYS[7], ARGV[7], key)
      redis.call('ZADD', KEYS[8], ARGV[7], key)
    end
  end
  -- The oldest becomes a dead letter for the newest, and the oldest of those goes.
  while redis.call('ZCARD', KEYS[8]) > tonumber(ARGV[9]) do
    local oldest = redis.call('ZPOPMIN', KEYS[8])[1]
    redis.call('ZREM', KEYS[7], oldest)
    redis.call('ZADD', KEYS[10], ARGV[7], oldest)
    local letter = cjson.decode(redis.call('HGET', KEYS[6], oldest))
    letter.reason = 'overflow'
    redis.call('HSET', KEYS[6], oldest, cjson.encode(letter))
    lost = lost + 1
  end
  while redis.call('ZCARD', KEYS[10]) > tonumber(ARGV[10]) do
    redis.call('HDEL', KEYS[6], redis.call('ZPOPMIN', KEYS[10])[1])
  end
end
redis.call('PUBLISH', KEYS[1], 'end')
return { 1, lost }
