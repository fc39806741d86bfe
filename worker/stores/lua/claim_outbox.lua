-- flags: allow-oom
-- Lease messages that are due, so that several senders do not send the same one at the same time.
-- Tenants come in turn, who was served longest ago first, and none gets more than its share: one whose
-- receivers are slow holds up its own messages alone.
-- Returns a flat list: tenant, message, tenant, message, ...
local a = cjson.decode(ARGV[1])
local claimed = {}
for _, tenant in ipairs(redis.call('ZRANGE', key.message_tenants(), 0, -1)) do
  local due = key.messages_due(tenant)
  local room = math.min(a.share - (a.sending[tenant] or 0), a.limit - #claimed / 2)
  if room > 0 then
    local messages = redis.call('ZRANGEBYSCORE', due, '-inf', a.now, 'LIMIT', 0, room)
    for _, message in ipairs(messages) do
      redis.call('ZADD', due, a.now + a.lease_s, message)
      table.insert(claimed, tenant)
      table.insert(claimed, message)
    end
    if #messages > 0 then redis.call('ZADD', key.message_tenants(), a.now, tenant) end
  end
  if redis.call('EXISTS', due) == 0 then redis.call('ZREM', key.message_tenants(), tenant) end
end
return claimed
