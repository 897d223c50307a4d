-- Takes a cost from every bucket, which may leave a debt; or from none, where one holds less. By Redis's own clock.
-- KEYS: buckets    ARGV: cost; 1 to take, 0 to look, 2 to be told what is in the first; milliseconds of an hour; their limits…
-- Answers nil, or the bucket to wait for longest, from 1, what is in it, and for how many seconds.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local cost, hour = tonumber(ARGV[1]), tonumber(ARGV[3])
local lefts, worst = {}, nil
for at, key in ipairs(KEYS) do
  local limit = tonumber(ARGV[3 + at])
  local had = redis.call('HMGET', key, 'left', 'at')
  local left = limit
  -- A bucket that is not there is full. A clock that was set back fills nothing.
  if had[1] then left = math.min(limit, tonumber(had[1]) + math.max(0, now - tonumber(had[2])) * limit / hour) end
  lefts[at] = left
  -- What costs more than a bucket ever holds needs a full one.
  local missing = math.min(cost, limit) - left
  if missing > 0 then
    local wait = math.max(1, math.ceil(missing * hour / limit / 1000))
    if not worst or wait > worst[3] then worst = { at, tostring(math.max(0, math.floor(left))), wait } end
  end
end
if ARGV[2] == '2' then return tostring(lefts[1]) end
if worst then return worst end
if ARGV[2] == '1' then
  for at, key in ipairs(KEYS) do
    local limit = tonumber(ARGV[3 + at])
    local left = lefts[at] - cost
    redis.call('HSET', key, 'left', tostring(left), 'at', now)
    -- When it is full again there is nothing to remember.
    redis.call('PEXPIRE', key, math.max(1, math.ceil((limit - left) * hour / limit)))
  end
end
return nil
