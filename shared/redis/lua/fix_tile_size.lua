-- Stores the tile size, in pixels, unless the job has one.
-- ARGV: id, claim, tile size. Returns the job's tile size; nil when the claim is lost.
local job = load(ARGV[1])
if not job or not CLAIMED[job.state] or job.claim ~= ARGV[2] then return nil end
if redis.call('HSETNX', 'dream:job:' .. job.id, 'tile_size', ARGV[3]) == 1 then announce(job) end
return redis.call('HGET', 'dream:job:' .. job.id, 'tile_size')
