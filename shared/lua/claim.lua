-- ARGV: worker, claim, lease in ms, then the models it serves. The claimed job, or nil when nothing waits for it.
-- Asked twice with one claim, after a connection that broke before the answer, it gives the same job.
local worker, claim, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])

local function oldest(priority, owner)
  local best = nil
  for i = 4, #ARGV do
    local head = redis.call('ZRANGE', 'dream:waiting:' .. priority .. ':' .. owner .. ':' .. ARGV[i], 0, 0)[1]
    if head and (not best or head < best) then best = head end
  end
  return best
end

local claimed = load(redis.call('GET', 'dream:claim:' .. claim) or '')
if claimed then return reply(claimed) end

for _, priority in ipairs({ 'high', 'normal', 'low' }) do
  for _, owner in ipairs(redis.call('ZRANGE', 'dream:turns:' .. priority, 0, -1)) do
    local id = oldest(priority, owner)
    if id then
      local job = load(id)
      redis.call('ZADD', 'dream:turns:' .. priority, redis.call('INCR', 'dream:turn'), owner)
      change(job, {
        state = 'running',
        worker = worker,
        claim = claim,
        attempt = tonumber(job.attempt) + 1,
        started_at = job.started_at or string.format('%.3f', now_ms() / 1000),
        lease_ms = whole(now_ms() + lease_ms),
      })
      redis.call('SET', 'dream:claim:' .. claim, id, 'PX', lease_ms)
      return reply(job)
    end
  end
end
return nil
