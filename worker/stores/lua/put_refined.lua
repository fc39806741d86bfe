-- Let refined weights, which are sealed under a name of their own, take the place of the derived ones, and say
-- so in the identity's record, in one step.
-- Returns 'unknown' when the identity is gone, else 'stored:' and the name of those they replace, if any.
local a = cjson.decode(ARGV[1])
local identity = key.identity(a.identity)
if redis.call('EXISTS', identity) == 0 then return 'unknown' end
local before = redis.call('HGET', identity, 'refined:' .. a.pack) or ''
redis.call('SADD', key.identity_packs(a.identity), a.pack)
redis.call('HSET', identity, 'refined:' .. a.pack, a.name, 'quality', '"refined"', 'refinement', a.refinement)
redis.call('HINCRBY', identity, 'version', 1)
return 'stored:' .. before
