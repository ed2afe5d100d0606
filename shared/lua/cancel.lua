-- ARGV: id, now. The job: a waiting one canceled, a running one told to stop, any other as it was; nil if unknown.
local job = load(ARGV[1])
if not job then return nil end
if job.state == 'queued' then
  change(job, { state = 'canceled', finished_at = ARGV[2] })
elseif job.state == 'running' then
  change(job, { state = 'canceling' })
end
return reply(job)
