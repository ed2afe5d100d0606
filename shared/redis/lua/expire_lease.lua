-- Requeues a job whose lease has expired, with one more death. Leaves the state of a job that has reached the limit of
-- deaths or is being canceled: the caller ends it. A claim that was never acknowledged never reached its worker, so its
-- expiry does not count as a death.
-- ARGV: id, claim, limit of deaths. Returns the job; nil when its lease was renewed or it was claimed again meanwhile.
local job = load(ARGV[1])
if not job or not CLAIMED[job.state] or job.claim ~= ARGV[2] or tonumber(job.lease_ms) > now_ms() then return nil end
local deaths = tonumber(job.deaths) + (job.acknowledged and 1 or 0)
if job.state == 'running' and (not job.acknowledged or deaths < tonumber(ARGV[3])) then
  change(job, { state = 'queued', deaths = deaths, claim = false, worker = false, lease_ms = false })
else
  redis.call('HSET', 'dream:job:' .. job.id, 'deaths', deaths)
end
return reply(job)
