-- Replace an identity's derived weights by refined ones, and say so in its record, in one step.
-- They cost minutes to make, so they are kept until the erasure, outside the bounded cache.
-- ARGV[2]: the weights' bytes. Returns 'stored', or 'unknown' when the identity is gone.
local a = cjson.decode(ARGV[1])
local identity = key.identity(a.identity)
if redis.call('EXISTS', identity) == 0 then return 'unknown' end
redis.call('SET', key.refined(a.identity .. ':' .. a.pack), ARGV[2])
redis.call('SADD', key.identity_packs(a.identity), a.pack)
redis.call('HSET', identity, 'quality', '"refined"', 'refinement', a.refinement)
redis.call('HINCRBY', identity, 'version', 1)
return 'stored'
