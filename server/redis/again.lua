-- Puts a letter back for later, unless it is dead meanwhile; and holds back all others for its endpoint, if it asked for that.
-- KEYS: letters, due, created, disabled, dead, held    ARGV: key, reason, due, (endpoint, until)
if redis.call('ZSCORE', KEYS[3], ARGV[1]) then
  local letter = cjson.decode(redis.call('HGET', KEYS[1], ARGV[1]))
  letter.attempts, letter.reason = letter.attempts + 1, ARGV[2]
  redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(letter))
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
end
if ARGV[4] and tonumber(redis.call('HGET', KEYS[6], ARGV[4]) or 0) < tonumber(ARGV[5]) then
  redis.call('HSET', KEYS[6], ARGV[4], ARGV[5])
end
