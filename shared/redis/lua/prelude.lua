-- Precedes the other scripts here, but for poll and append_pixels: keeps a job's hash and its indexes consistent.
-- These are the keys that it maintains; docs/architecture.md lists all.
--
-- dream:job:{id}                             the job, a hash
-- dream:events:{id}                          its events, a stream whose ids are the job's versions
-- dream:state:{state}                        ids, oldest first (ULIDs sort by time)
-- dream:owner:{owner}:{state}                the same for one owner
-- dream:waiting:{priority}                   ids of waiting jobs, oldest first
-- dream:waiting:{priority}:{owner}:{model}   the same by owner and model, from which a claim picks
-- dream:turns:{priority}                     owners with waiting jobs, the least recently served first
-- dream:turns:{priority}:{model}             the same turns, only owners with jobs for that model; read by a claim
-- dream:owned:{priority}                     number of waiting jobs by owner
-- dream:models                               number of waiting jobs by model
-- dream:counts                               number of jobs by kind:state
-- dream:leases                               ids of claimed jobs by the end of their lease, milliseconds of Redis TIME
-- dream:deadlines                            ids of jobs that have not ended, by deadline, Unix seconds

local TERMINAL = { succeeded = true, failed = true, canceled = true, expired = true }
local CLAIMED = { running = true, canceling = true }
local EVENTS_KEPT = 256
local EVENTS_TTL_S = 86400

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Formats a whole number, because Lua 5.1 would write a large one as 1.7e+12.
local function whole(number) return string.format('%.0f', number) end

local function load(id)
  local flat = redis.call('HGETALL', 'dream:job:' .. id)
  if #flat == 0 then return nil end
  local job = {}
  for i = 1, #flat, 2 do job[flat[i]] = flat[i + 1] end
  return job
end

local function waiting_key(priority, owner, model)
  return 'dream:waiting:' .. priority .. ':' .. owner .. ':' .. model
end

local function turns_key(priority, model) return 'dream:turns:' .. priority .. ':' .. model end

local function count(job, by)
  local field = job.kind .. ':' .. job.state
  if redis.call('HINCRBY', 'dream:counts', field, by) <= 0 then redis.call('HDEL', 'dream:counts', field) end
end

local function leave(job)
  count(job, -1)
  redis.call('ZREM', 'dream:state:' .. job.state, job.id)
  redis.call('ZREM', 'dream:owner:' .. job.owner .. ':' .. job.state, job.id)
  redis.call('ZREM', 'dream:leases', job.id)
  redis.call('ZREM', 'dream:deadlines', job.id)
  if job.state == 'queued' then
    local waiting = waiting_key(job.priority, job.owner, job.model)
    redis.call('ZREM', waiting, job.id)
    if redis.call('EXISTS', waiting) == 0 then redis.call('ZREM', turns_key(job.priority, job.model), job.owner) end
    redis.call('ZREM', 'dream:waiting:' .. job.priority, job.id)
    if redis.call('HINCRBY', 'dream:models', job.model, -1) <= 0 then redis.call('HDEL', 'dream:models', job.model) end
    if redis.call('HINCRBY', 'dream:owned:' .. job.priority, job.owner, -1) <= 0 then
      redis.call('HDEL', 'dream:owned:' .. job.priority, job.owner)
      redis.call('ZREM', 'dream:turns:' .. job.priority, job.owner)
    end
  end
end

local function enter(job)
  count(job, 1)
  redis.call('ZADD', 'dream:state:' .. job.state, 0, job.id)
  redis.call('ZADD', 'dream:owner:' .. job.owner .. ':' .. job.state, 0, job.id)
  if job.state == 'queued' then
    redis.call('ZADD', waiting_key(job.priority, job.owner, job.model), 0, job.id)
    redis.call('ZADD', 'dream:waiting:' .. job.priority, 0, job.id)
    redis.call('HINCRBY', 'dream:models', job.model, 1)
    redis.call('HINCRBY', 'dream:owned:' .. job.priority, job.owner, 1)
    -- A new owner queues behind the others: otherwise an owner who submits jobs one by one would always be first.
    local turns = 'dream:turns:' .. job.priority
    redis.call('ZADD', turns, 'NX', redis.call('INCR', 'dream:turn'), job.owner)
    redis.call('ZADD', turns_key(job.priority, job.model), redis.call('ZSCORE', turns, job.owner), job.owner)
  end
  if CLAIMED[job.state] then redis.call('ZADD', 'dream:leases', job.lease_ms, job.id) end
  if job.deadline_at and not TERMINAL[job.state] then redis.call('ZADD', 'dream:deadlines', job.deadline_at, job.id) end
end

-- Moves the job's owner behind all other owners, for all models.
local function take_turn(job)
  local turn = redis.call('INCR', 'dream:turn')
  redis.call('ZADD', 'dream:turns:' .. job.priority, turn, job.owner)
  for _, model in ipairs(redis.call('HKEYS', 'dream:models')) do
    redis.call('ZADD', turns_key(job.priority, model), 'XX', turn, job.owner)
  end
end

-- Notifies subscribers. Versions start at the current time, so that they increase even after Redis was wiped.
local function announce(job, ...)
  local events = 'dream:events:' .. job.id
  job.version = whole(math.max(now_ms(), tonumber(job.version or 0) + 1))
  redis.call('HSET', 'dream:job:' .. job.id, 'version', job.version)
  redis.call('XADD', events, 'MAXLEN', '~', EVENTS_KEPT, job.version .. '-0',
    'state', job.state, 'progress', job.progress or '{}', ...)
  if TERMINAL[job.state] then redis.call('EXPIRE', events, EVENTS_TTL_S) else redis.call('PERSIST', events) end
  redis.call('PUBLISH', 'dream:changes', job.id)
end

-- Changes a job's hash and indexes and notifies subscribers; nothing else changes a job's state. Removes fields set to
-- false.
local function change(job, fields)
  leave(job)
  for name, value in pairs(fields) do
    if value == false then
      redis.call('HDEL', 'dream:job:' .. job.id, name)
      job[name] = nil
    else
      redis.call('HSET', 'dream:job:' .. job.id, name, value)
      job[name] = value
    end
  end
  enter(job)
  announce(job)
end

local function reply(job)
  if not job then return nil end
  return redis.call('HGETALL', 'dream:job:' .. job.id)
end
