-- Requeues a claimed job at its old place, unless it is being canceled.
-- ARGV: id, claim, deaths to add. Returns the job; nil when the claim is lost.
local job = load(ARGV[1])
if not job or not CLAIMED[job.state] or job.claim ~= ARGV[2] then return nil end
if job.state == 'running' then
  local deaths = tonumber(job.deaths) + tonumber(ARGV[3])
  change(job, { state = 'queued', deaths = deaths, claim = false, worker = false, lease_ms = false })
end
return reply(job)
