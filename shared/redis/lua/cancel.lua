-- Asks a running job to stop, if its retry_count is the given one; leaves any other job unchanged.
-- ARGV: id, retry_count. Returns the job; nil if it is unknown.
local job = load(ARGV[1])
if not job then return nil end
if job.state == 'running' and job.retry_count == ARGV[2] then change(job, { state = 'canceling' }) end
return reply(job)
