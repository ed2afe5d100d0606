-- Put before each of the scripts beside it: one job's hash and all the indexes that must agree with it.
--
-- dream:job:{id}                             the job, a hash
-- dream:events:{id}                          its changes, a stream whose ids are the job's versions
-- dream:state:{state}                        ids, oldest first (ULIDs sort by time)
-- dream:owner:{owner}:{state}                the same for one owner
-- dream:waiting:{priority}                   ids that wait, oldest first
-- dream:waiting:{priority}:{owner}:{model}   the same, as a claim picks them
-- dream:turns:{priority}                     owners with waiting jobs, the one longest not served first
-- dream:turns:{priority}:{model}             the same turns, of those with jobs for that model: what a claim looks at
-- dream:owned:{priority}                     how many wait, by owner
-- dream:models                               how many wait, by model
-- dream:counts                               how many there are, by kind:state
-- dream:leases                               claimed ids by the end of their lease, Redis milliseconds
-- dream:deadlines                            ids not yet ended by their deadline, Unix seconds
-- dream:admitted:{owner}                     submissions under way, by when they give up their place in the queue
-- dream:generation                           names this data set; missing after a wipe, until it is rebuilt from S3
-- dream:rebuild                              the token of the rebuild that runs

local TERMINAL = { succeeded = true, failed = true, canceled = true, expired = true }
local CLAIMED = { running = true, canceling = true }
local EVENTS_KEPT = 256
local EVENTS_TTL_S = 86400

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Lua 5.1 would write large numbers as 1.7e+12.
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
    -- A newcomer takes its turn behind those who wait, or an owner who submits one by one would always be first.
    local turns = 'dream:turns:' .. job.priority
    redis.call('ZADD', turns, 'NX', redis.call('INCR', 'dream:turn'), job.owner)
    redis.call('ZADD', turns_key(job.priority, job.model), redis.call('ZSCORE', turns, job.owner), job.owner)
  end
  if CLAIMED[job.state] then redis.call('ZADD', 'dream:leases', job.lease_ms, job.id) end
  if job.deadline_at and not TERMINAL[job.state] then redis.call('ZADD', 'dream:deadlines', job.deadline_at, job.id) end
end

-- Puts the job's owner behind all others, whatever else of that owner waits.
local function take_turn(job)
  local turn = redis.call('INCR', 'dream:turn')
  redis.call('ZADD', 'dream:turns:' .. job.priority, turn, job.owner)
  for _, model in ipairs(redis.call('HKEYS', 'dream:models')) do
    redis.call('ZADD', turns_key(job.priority, model), 'XX', turn, job.owner)
  end
end

-- Tells who watches. The version starts at the clock, so that it also grows over a wiped Redis.
local function announce(job, ...)
  local events = 'dream:events:' .. job.id
  job.version = whole(math.max(now_ms(), tonumber(job.version or 0) + 1))
  redis.call('HSET', 'dream:job:' .. job.id, 'version', job.version)
  redis.call('XADD', events, 'MAXLEN', '~', EVENTS_KEPT, job.version .. '-0',
    'state', job.state, 'progress', job.progress or '{}', ...)
  if TERMINAL[job.state] then redis.call('EXPIRE', events, EVENTS_TTL_S) else redis.call('PERSIST', events) end
  redis.call('PUBLISH', 'dream:changes', job.id)
end

-- The only way in which a job changes: indexes, hash and watchers together. A field set to false is removed.
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
