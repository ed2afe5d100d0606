-- ARGV: id. The job: a running one told to stop, any other as it was; nil if unknown.
local job = load(ARGV[1])
if not job then return nil end
if job.state == 'running' then change(job, { state = 'canceling' }) end
return reply(job)
