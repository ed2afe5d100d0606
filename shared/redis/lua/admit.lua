-- Reserves a place in the owner's queue for a submission.
-- ARGV: owner, id, limit, time to live in ms.
-- Returns 1 when the place is reserved; 0 when as many jobs as the limit wait or are being submitted.
local admitted = 'dream:admitted:' .. ARGV[1]
local now = now_ms()
redis.call('ZREMRANGEBYSCORE', admitted, '-inf', whole(now))
if not redis.call('ZSCORE', admitted, ARGV[2]) then
  local taken = redis.call('ZCARD', admitted)
  for _, priority in ipairs({ 'high', 'normal', 'low' }) do
    taken = taken + tonumber(redis.call('HGET', 'dream:owned:' .. priority, ARGV[1]) or 0)
  end
  if taken >= tonumber(ARGV[3]) then return 0 end
end
redis.call('ZADD', admitted, whole(now + ARGV[4]), ARGV[2])
redis.call('PEXPIRE', admitted, ARGV[4])
return 1
