-- Rebuilds the owners' turns by model from their waiting jobs.
-- ARGV: priority, then owners. Returns nil.
for i = 2, #ARGV do
  local turn = redis.call('ZSCORE', 'dream:turns:' .. ARGV[1], ARGV[i])
  for _, model in ipairs(redis.call('HKEYS', 'dream:models')) do
    if turn and redis.call('EXISTS', waiting_key(ARGV[1], ARGV[i], model)) == 1 then
      redis.call('ZADD', turns_key(ARGV[1], model), turn, ARGV[i])
    end
  end
end
return nil
