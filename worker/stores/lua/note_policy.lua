-- Keep the policy of a role, and append the audit entry about its change: both or neither.
-- Of several processes that start at once, one does it. Returns the entry's number, or false.
local a = cjson.decode(ARGV[1])
local key = 'lk:policy:' .. a.role
if redis.call('GET', key) == a.policy then return false end
redis.call('SET', key, a.policy)
local seq = redis.call('INCR', 'lk:audit:seq')
redis.call('XADD', 'lk:audit', '*', 'seq', seq, 'body', a.body)
return seq
