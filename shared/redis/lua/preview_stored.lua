-- ARGV: id, claim. Tells who watches that there is a new preview, unless the claim is lost.
local job = load(ARGV[1])
if job and CLAIMED[job.state] and job.claim == ARGV[2] then announce(job, 'preview', '1') end
