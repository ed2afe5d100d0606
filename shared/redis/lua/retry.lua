-- Requeues a failed or canceled job with that retry_count, if its own is lower; leaves any other job unchanged.
-- ARGV: id, retry_count, deadline_at ('' for none). Returns the job; nil if it is unknown.
local job = load(ARGV[1])
if not job then return nil end
if (job.state == 'failed' or job.state == 'canceled') and tonumber(job.retry_count) < tonumber(ARGV[2]) then
  change(job, {
    state = 'queued', retry_count = ARGV[2], deaths = 0, claim = false, error = false, finished_at = false, started_at = false,
    deadline_at = ARGV[3] ~= '' and ARGV[3],
  })
end
return reply(job)
