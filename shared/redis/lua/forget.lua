-- Removes the job and everything that refers to it.
-- ARGV: id. Returns 1; 0 if the job is unknown.
-- For a day no late call can create the job again: a call may arrive minutes after its sender gave up.
redis.call('SET', 'dream:forgotten:' .. ARGV[1], 1, 'EX', 86400)
local job = load(ARGV[1])
if not job then return 0 end
leave(job)
redis.call('DEL', 'dream:job:' .. job.id, 'dream:events:' .. job.id)
redis.call('PUBLISH', 'dream:changes', job.id)
return 1
