-- ARGV: the marker of the rebuild that has ended, a new generation. The generation that holds from now on; nil when the
-- marker is gone, with all that was rebuilt.
if redis.call('GET', 'dream:rebuild') ~= ARGV[1] then return nil end
redis.call('DEL', 'dream:rebuild')
redis.call('SET', 'dream:generation', ARGV[2], 'NX')
return redis.call('GET', 'dream:generation')
