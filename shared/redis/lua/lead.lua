-- Makes a caretaker the leader, unless another one is.
-- ARGV: name, time to live in ms. Returns 1 if that caretaker leads, 0 if another one does.
local leader = redis.call('GET', 'dream:leader')
if leader and leader ~= ARGV[1] then return 0 end
redis.call('SET', 'dream:leader', ARGV[1], 'PX', ARGV[2])
return 1
