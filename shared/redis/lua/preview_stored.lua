-- Notifies subscribers of a new preview, unless the claim is lost.
-- ARGV: id, claim.
local job = load(ARGV[1])
if job and CLAIMED[job.state] and job.claim == ARGV[2] then announce(job, 'preview', '1') end
