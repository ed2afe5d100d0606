-- Registers a worker and removes registrations that expired more than a day ago.
-- ARGV: worker, time to live in ms, description. Returns the time in ms.
local now = now_ms()
redis.call('ZADD', 'dream:workers', whole(now + ARGV[2]), ARGV[1])
redis.call('HSET', 'dream:worker', ARGV[1], ARGV[3])
for _, name in ipairs(redis.call('ZRANGEBYSCORE', 'dream:workers', '-inf', whole(now - 86400000))) do
  redis.call('ZREM', 'dream:workers', name)
  redis.call('HDEL', 'dream:worker', name)
end
return whole(now)
