-- Change fields of an identity's record, unless the identity is gone: nothing may be left where one was erased.
-- Returns 'changed' or 'unknown'.
local a = cjson.decode(ARGV[1])
local identity = key.identity(a.identity)
if redis.call('EXISTS', identity) == 0 then return 'unknown' end
for name, value in pairs(a.fields) do redis.call('HSET', identity, name, value) end
redis.call('HINCRBY', identity, 'version', 1)
return 'changed'
