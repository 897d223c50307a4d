-- What a person does with dead letters of an ID, or with all: they begin anew, or go. Answers how many.
-- KEYS: letters, due, created, disabled, dead    ARGV: ID or 'all', now or ''
local count = 0
for _, key in ipairs(redis.call('ZRANGE', KEYS[5], 0, -1)) do
  local letter = cjson.decode(redis.call('HGET', KEYS[1], key))
  if ARGV[1] == 'all' or letter.id == ARGV[1] then
    redis.call('ZREM', KEYS[5], key)
    if ARGV[2] == '' then
      redis.call('HDEL', KEYS[1], key)
    else
      letter.attempts = 0
      redis.call('HSET', KEYS[1], key, cjson.encode(letter))
      redis.call('ZADD', KEYS[2], ARGV[2], key)
      redis.call('ZADD', KEYS[3], letter.createdAt, key)
    end
    count = count + 1
  end
end
return count
