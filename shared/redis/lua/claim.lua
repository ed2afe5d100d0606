-- Claims the next waiting job for a worker.
-- ARGV: worker, claim, lease in ms, then the models that the worker serves.
-- Returns the claimed job; nil when no job waits for these models; 'rebuild_turns' when a waiting job is missing from the
-- turns by model, because a process of an older version has queued it.
-- Idempotent: called again with the same claim, after a connection broke before the response, it returns the same job.
local worker, claim, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])

local function next_owner(priority)
  local best, turn = nil, nil
  for i = 4, #ARGV do
    local head = redis.call('ZRANGE', turns_key(priority, ARGV[i]), 0, 0, 'WITHSCORES')
    if head[1] and (not best or tonumber(head[2]) < turn) then best, turn = head[1], tonumber(head[2]) end
  end
  return best
end

local function oldest(priority, owner)
  local best = nil
  for i = 4, #ARGV do
    local head = redis.call('ZRANGE', waiting_key(priority, owner, ARGV[i]), 0, 0)[1]
    -- Needed here as well as in `leave`: an older version claims jobs without updating the turns by model.
    if not head then redis.call('ZREM', turns_key(priority, ARGV[i]), owner) end
    if head and (not best or head < best) then best = head end
  end
  return best
end

local function next_job()
  for _, priority in ipairs({ 'high', 'normal', 'low' }) do
    local owner = next_owner(priority)
    while owner do
      local id = oldest(priority, owner)
      if id then return load(id) end
      owner = next_owner(priority)
    end
  end
end

local claimed = load(redis.call('GET', 'dream:claim:' .. claim) or '')
if claimed then return reply(claimed) end

local job = next_job()
if not job then
  for i = 4, #ARGV do
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
