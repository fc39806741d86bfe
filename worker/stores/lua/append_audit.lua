-- Append to the audit log, if its head is still the one the entry was bound to.
local a = cjson.decode(ARGV[1])
local head = redis.call('GET', 'lk:audit:head') or a.genesis
if head ~= a.expected then return false end
redis.call('SET', 'lk:audit:head', a.sha256)
return redis.call('XADD', 'lk:audit', '*', 'previous', a.expected, 'body', a.body, 'sha256', a.sha256)
