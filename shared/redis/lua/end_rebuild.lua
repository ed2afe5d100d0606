-- Ends a rebuild and sets the generation of the data set, unless it has one.
-- ARGV: the marker of the rebuild, a new generation.
-- Returns the generation that applies from now on; nil when the marker is missing, because Redis was wiped meanwhile.
if redis.call('GET', 'dream:rebuild') ~= ARGV[1] then return nil end
redis.call('DEL', 'dream:rebuild')
redis.call('SET', 'dream:generation', ARGV[2], 'NX')
return redis.call('GET', 'dream:generation')
