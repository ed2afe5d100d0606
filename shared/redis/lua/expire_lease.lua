-- ARGV: id, claim, most deaths. The lapsed job: waiting again with one more death, or, when it died too often or is
-- being canceled, as it was, for the caller to end. nil when it was renewed or claimed again meanwhile. A claim that was
-- never acknowledged never reached its worker, so nobody died of it.
local job = load(ARGV[1])
if not job or not CLAIMED[job.state] or job.claim ~= ARGV[2] or tonumber(job.lease_ms) > now_ms() then return nil end
local deaths = tonumber(job.deaths) + (job.acknowledged and 1 or 0)
if job.state == 'running' and (not job.acknowledged or deaths < tonumber(ARGV[3])) then
  change(job, { state = 'queued', deaths = deaths, claim = false, worker = false, lease_ms = false })
else
  redis.call('HSET', 'dream:job:' .. job.id, 'deaths', deaths)
end
return reply(job)
