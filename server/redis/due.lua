-- Hands out letters whose time has come; for as long as sending one may take they are nobody else's.
-- KEYS: letters, due, created, disabled, dead, held    ARGV: now, room, until when they are sent, most looked at
local handed = {}
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, ARGV[4])) do
  if #handed >= tonumber(ARGV[2]) then break end
  local letter = redis.call('HGET', KEYS[1], key)
  local held = letter and redis.call('HGET', KEYS[6], cjson.decode(letter).endpoint)
  if not letter then
    redis.call('ZREM', KEYS[2], key)
    redis.call('ZREM', KEYS[3], key)
  elseif held and tonumber(held) > tonumber(ARGV[1]) then
    redis.call('ZADD', KEYS[2], held, key)
  else
    redis.call('ZADD', KEYS[2], ARGV[3], key)
    handed[#handed + 1] = letter
  end
end
return handed
