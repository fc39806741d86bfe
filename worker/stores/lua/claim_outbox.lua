-- Lease messages that are due, so that several senders do not send the same one at the same time.
local a = cjson.decode(ARGV[1])
local due = redis.call('ZRANGEBYSCORE', 'lk:outbox', '-inf', a.now, 'LIMIT', 0, a.limit)
for _, message in ipairs(due) do redis.call('ZADD', 'lk:outbox', a.now + a.lease_s, message) end
return due
