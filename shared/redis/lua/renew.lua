-- Renews and acknowledges the lease of a claimed job and publishes progress.
-- ARGV: id, claim, retry_count, attempt, worker, lease in ms, fraction, progress ('' for none).
-- Returns the state; 'missing' when Redis does not have the job; 'lost' when the claim is lost.
local id, claim, retry_count, attempt, worker = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local lease_ms, fraction, progress = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local job = load(id)
if not job then return 'missing' end

if job.state == 'queued' and job.retry_count == retry_count and tonumber(job.attempt) < attempt then
  -- Redis was wiped or rolled back and lost this claim; no other worker has the job. After an expired lease or a drain
  -- the job's attempt includes ours, so the claim is not restored.
  change(job, {
    state = 'running', worker = worker, claim = claim, attempt = attempt, lease_ms = whole(now_ms() + lease_ms),
    started_at = job.started_at or string.format('%.3f', now_ms() / 1000),
  })
end
if not CLAIMED[job.state] or job.claim ~= claim then return 'lost' end

local lease = whole(now_ms() + lease_ms)
redis.call('HSET', 'dream:job:' .. id, 'lease_ms', lease, 'acknowledged', 1)
redis.call('ZADD', 'dream:leases', lease, id)
-- After a resume the attempt is behind the published progress, which stays until the attempt reaches it again.
if progress ~= '' and fraction >= tonumber(job.fraction or 0) then
  redis.call('HSET', 'dream:job:' .. id, 'progress', progress, 'fraction', fraction)
  job.progress = progress
  announce(job)
end
return job.state
