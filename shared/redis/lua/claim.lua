-- Claims the next waiting job for a worker.
-- ARGV: worker, claim, lease in ms, the running jobs that an owner may have while others wait, then the models that the
-- worker serves.
-- Returns the claimed job; nil when no job waits for these models; 'rebuild_turns' when a waiting job is missing from the
-- turns by model, because a process of an older version has queued it.
-- Idempotent: called again with the same claim, after a connection broke before the response, it returns the same job.
local worker, claim, lease_ms, max_running = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local FIRST_MODEL = 5
local PASSED_OVER = 100 -- owners at their limit that a claim passes over, for each priority and model

local function is_below_limit(owner)
  return redis.call('ZCARD', 'dream:owner:' .. owner .. ':running') < max_running
end

local function next_owner(priority, limited)
  local best, turn = nil, nil
  for i = FIRST_MODEL, #ARGV do
    local last = limited and PASSED_OVER - 1 or 0
    local heads = redis.call('ZRANGE', turns_key(priority, ARGV[i]), 0, last, 'WITHSCORES')
    for j = 1, #heads, 2 do
      if best and tonumber(heads[j + 1]) >= turn then break end
      if not limited or is_below_limit(heads[j]) then
        best, turn = heads[j], tonumber(heads[j + 1])
        break
      end
    end
  end
  return best
end

local function oldest(priority, owner)
  local best = nil
  for i = FIRST_MODEL, #ARGV do
    local head = redis.call('ZRANGE', waiting_key(priority, owner, ARGV[i]), 0, 0)[1]
    -- Needed here as well as in `leave`: an older version claims jobs without updating the turns by model.
    if not head then redis.call('ZREM', turns_key(priority, ARGV[i]), owner) end
    if head and (not best or head < best) then best = head end
  end
  return best
end

local function next_job(limited)
  for _, priority in ipairs({ 'high', 'normal', 'low' }) do
    local owner = next_owner(priority, limited)
    while owner do
      local id = oldest(priority, owner)
      if id then return load(id) end
      owner = next_owner(priority, limited)
    end
  end
end

local claimed = load(redis.call('GET', 'dream:claim:' .. claim) or '')
if claimed then return reply(claimed) end

local job = next_job(true) or next_job(false)
if not job then
  for i = FIRST_MODEL, #ARGV do
    if redis.call('HEXISTS', 'dream:models', ARGV[i]) == 1 then return 'rebuild_turns' end
  end
  return nil
end
take_turn(job)
change(job, {
  state = 'running',
  worker = worker,
  claim = claim,
  acknowledged = false,
  attempt = tonumber(job.attempt) + 1,
  started_at = job.started_at or string.format('%.3f', now_ms() / 1000),
  lease_ms = whole(now_ms() + lease_ms),
})
redis.call('SET', 'dream:claim:' .. claim, job.id, 'PX', lease_ms)
return reply(job)
