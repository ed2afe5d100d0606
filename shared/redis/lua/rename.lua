-- Renames a job. ARGV: id, name ('' for none). Returns the job; nil if it is unknown. No index contains the name.
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
