-- Resets the deaths to 0, because a new checkpoint is stored.
-- ARGV: id, claim. Returns 1; 0 when the claim is lost.
local job = load(ARGV[1])
if not job or not CLAIMED[job.state] or job.claim ~= ARGV[2] then return 0 end
redis.call('HSET', 'dream:job:' .. job.id, 'deaths', 0)
return 1
