-- Adds to what each has used of the model on a day; or to none, where one would have more than it may.
-- KEYS: the day's    ARGV: tokens, resumes, life in seconds; name, most or ''…
-- Answers 0, or which of them has not enough left, from 1.
local tokens = tonumber(ARGV[1])
local function used(name) return tonumber(redis.call('HGET', KEYS[1], name .. ' tokens') or 0) end
for at = 4, #ARGV, 2 do
  if ARGV[at + 1] ~= '' and used(ARGV[at]) + tokens > tonumber(ARGV[at + 1]) then return (at - 4) / 2 + 1 end
end
for at = 4, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[at] .. ' tokens', math.max(0, used(ARGV[at]) + tokens))
  redis.call('HINCRBY', KEYS[1], ARGV[at] .. ' resumes', ARGV[2])
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 0
