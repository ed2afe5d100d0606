-- ARGV: id, retry count. A job that ended in that retry -> expired.
local job = load(ARGV[1])
if job and job.retry_count == ARGV[2] and TERMINAL[job.state] and job.state ~= 'expired' then change(job, { state = 'expired' }) end
return reply(job)
