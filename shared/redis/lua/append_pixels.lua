-- Appends one piece to a list that carries pixels, and sets its expiry.
-- Neither the append-only file nor a replica gets it: tiles are worth nothing after a restart, and would fill a disk.
-- KEYS[1]: the list.   ARGV: the piece, its index, milliseconds to keep the list.
-- A repeated call, after a lost answer, changes nothing.
redis.replicate_commands() -- Redis 6 needs it before set_repl
redis.set_repl(redis.REPL_NONE)
if redis.call('LLEN', KEYS[1]) == tonumber(ARGV[2]) then
    redis.call('RPUSH', KEYS[1], ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
