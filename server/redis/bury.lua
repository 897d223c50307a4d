-- Makes dead letters: one after its last attempt, or those that wait for an endpoint, or for any but these.
-- KEYS: letters, due, created, disabled, dead    ARGV: 'one', 'of' or 'others'; reason; most dead; key or endpoints…
-- Answers: how many, and how many older ones are lost for them.
local named = {}
for at = 4, #ARGV do named[ARGV[at]] = true end
local keys = ARGV[1] == 'one' and { ARGV[4] } or redis.call('ZRANGE', KEYS[3], 0, -1)
local buried, lost = 0, 0
for _, key in ipairs(keys) do
  local text = redis.call('HGET', KEYS[1], key)
  local letter = text and cjson.decode(text)
  if letter and (ARGV[1] == 'one' or (named[letter.endpoint] or false) == (ARGV[1] == 'of')) then
    if ARGV[1] == 'one' then letter.attempts = letter.attempts + 1 end
    letter.reason = ARGV[2]
    redis.call('HSET', KEYS[1], key, cjson.encode(letter))
    redis.call('ZREM', KEYS[2], key)
    redis.call('ZREM', KEYS[3], key)
    redis.call('ZADD', KEYS[5], letter.createdAt, key)
    buried = buried + 1
  end
end
while redis.call('ZCARD', KEYS[5]) > tonumber(ARGV[3]) do
  redis.call('HDEL', KEYS[1], redis.call('ZPOPMIN', KEYS[5])[1])
  lost = lost + 1
end
return { buried, lost }
