-- Creates a job and releases the place that `admit` has reserved.
-- ARGV: id, then the hash's fields and values. Returns 1 if the job is written, 0 if it exists already or was forgotten.
local id = ARGV[1]
for i = 2, #ARGV, 2 do
  if ARGV[i] == 'owner' then redis.call('ZREM', 'dream:admitted:' .. ARGV[i + 1], id) end
end
if redis.call('EXISTS', 'dream:job:' .. id, 'dream:forgotten:' .. id) > 0 then return 0 end
redis.call('HSET', 'dream:job:' .. id, unpack(ARGV, 2))
local job = load(id)
enter(job)
announce(job)
return 1
