-- ARGV: id, retry count. The job: a running one of that retry told to stop, any other as it was; nil if unknown.
local job = load(ARGV[1])
if not job then return nil end
if job.state == 'running' and job.retry_count == ARGV[2] then change(job, { state = 'canceling' }) end
return reply(job)
