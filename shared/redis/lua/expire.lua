-- ARGV: id. An ended job -> expired.
local job = load(ARGV[1])
if job and TERMINAL[job.state] and job.state ~= 'expired' then change(job, { state = 'expired' }) end
return reply(job)
