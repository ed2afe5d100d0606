-- Changes a job that has ended at that retry_count to expired.
-- ARGV: id, retry_count. Returns the job; nil if it is unknown.
local job = load(ARGV[1])
if job and job.retry_count == ARGV[2] and TERMINAL[job.state] and job.state ~= 'expired' then change(job, { state = 'expired' }) end
return reply(job)
