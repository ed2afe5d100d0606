-- ARGV: worker, claim, lease in ms, then the models it serves. The claimed job; nil when nothing waits for it; 'rebuild_turns' when
-- something does that the turns by model lack, which a process of an older version has left behind.
-- Asked twice with one claim, after a connection that broke before the answer, it gives the same job.
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
    -- Here, and not only when the job goes: an older version takes jobs without a word to the turns by model.
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
