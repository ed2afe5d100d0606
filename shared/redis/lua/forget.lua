-- ARGV: id. Removes the job and everything that points to it.
local job = load(ARGV[1])
if not job then return 0 end
leave(job)
redis.call('DEL', 'dream:job:' .. job.id, 'dream:events:' .. job.id)
redis.call('PUBLISH', 'dream:changes', job.id)
return 1
