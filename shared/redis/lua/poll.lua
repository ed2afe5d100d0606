-- Polls a job, counts the request against a rate limit and finds the queue position, in one round trip because polls are
-- the API's most frequent request.
-- ARGV: id, owner, version and position that the client has seen ('' for none), rate limit's key ('' for none), limit,
-- window in ms.
-- Returns {requests in this window, ms until it ends, status}; status is 'over_limit', 'unknown', 'foreign', 'unchanged',
-- or 'job', followed by the position ('' unless the job waits) and the hash.
local id, owner, known_version, known_position, limit_key = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local used, left_ms = 0, 0
if limit_key ~= '' then
  -- A Redis that refuses writes still answers polls, which are then not counted.
  local counted = redis.pcall('INCR', limit_key)
  used = type(counted) == 'number' and counted or 0
  left_ms = redis.call('PTTL', limit_key)
  if left_ms < 0 then
    left_ms = tonumber(ARGV[7])
    redis.pcall('PEXPIRE', limit_key, left_ms)
  end
  if used > tonumber(ARGV[6]) then return { used, left_ms, 'over_limit' } end
end

local key = 'dream:job:' .. id
local known = redis.call('HMGET', key, 'owner', 'version', 'state', 'priority')
if not known[1] then return { used, left_ms, 'unknown' } end
if known[1] ~= owner then return { used, left_ms, 'foreign' } end

local position = ''
if known[3] == 'queued' then
  local before = 0
  for _, priority in ipairs({ 'high', 'normal', 'low' }) do
    if priority == known[4] then
      before = before + redis.call('ZLEXCOUNT', 'dream:waiting:' .. priority, '-', '(' .. id)
      break
    end
    before = before + redis.call('ZCARD', 'dream:waiting:' .. priority)
  end
  position = tostring(before)
end
if known[2] == known_version and position == known_position then return { used, left_ms, 'unchanged' } end
return { used, left_ms, 'job', position, redis.call('HGETALL', key) }
