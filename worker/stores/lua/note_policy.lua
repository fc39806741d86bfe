-- Keep the policy of a role, and append the audit entry about its change: both or neither.
-- Of several processes that start at once, one does it. Returns the entry's number, or false.
-- uses: audit
local a = cjson.decode(ARGV[1])
if redis.call('GET', key.policy(a.role)) == a.policy then return false end
redis.call('SET', key.policy(a.role), a.policy)
return append_audit(a.body)
