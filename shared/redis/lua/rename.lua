-- ARGV: id, name ('' for none). The job as it is now, nil if unknown. No index has the name in it.
local job = load(ARGV[1])
if not job then return nil end
if (job.name or '') ~= ARGV[2] then
  if ARGV[2] == '' then
    redis.call('HDEL', 'dream:job:' .. job.id, 'name')
  else
    redis.call('HSET', 'dream:job:' .. job.id, 'name', ARGV[2])
  end
  announce(job)
end
return reply(job)
