-- Applies an outcome.
-- ARGV: id, retry_count, state, finished_at, claim ('' for none), error ('' for none), started_at ('' for none), attempt.
-- Returns the job after it; nil if it is unknown.
local id, retry_count, state, finished_at, claim, failure, started_at, attempt = unpack(ARGV)
local job = load(id)
if not job then return nil end
if tonumber(job.retry_count) < tonumber(retry_count) then
  -- Redis was rolled back to a time before a retry, which only a failed or canceled job can have: add the missing steps.
  if job.state ~= 'failed' and job.state ~= 'canceled' then change(job, { state = 'failed', worker = false, lease_ms = false }) end
  change(job, {
    state = 'queued', retry_count = retry_count, deaths = 0, claim = false, error = false, finished_at = false, started_at = false,
  })
end
-- An outcome with a lower retry_count does not apply to a job that has been retried since.
if job.retry_count ~= retry_count or TERMINAL[job.state] then return reply(job) end
local fields = {
  state = state, finished_at = finished_at, claim = claim ~= '' and claim, error = failure ~= '' and failure,
  worker = false, lease_ms = false, started_at = started_at ~= '' and started_at,
  attempt = math.max(tonumber(job.attempt), tonumber(attempt)),
}
if state == 'succeeded' then
  local progress = cjson.decode(job.progress or '{}')
  progress.fraction, progress.eta_seconds, progress.eta_low_seconds, progress.eta_high_seconds = 1, 0, 0, 0
  progress.iteration = progress.iterations
  fields.progress, fields.fraction = cjson.encode(progress), 1
end
change(job, fields)
return reply(job)
