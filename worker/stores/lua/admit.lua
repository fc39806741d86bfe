-- Accept a job, or say why not: idempotency, inputs, bounds, record and reservation in one step.
-- uses: tasks
-- uses: storage
-- Returns {outcome, job id or retry hint}.
local a = cjson.decode(ARGV[1])
local idem = a.idempotency
if idem then
  local seen = redis.call('HMGET', idem.key, 'fingerprint', 'job')
  if seen[1] and seen[1] ~= idem.fingerprint then return {'idempotency_mismatch'} end
  if seen[1] and not seen[2] then return {'idempotency_in_progress'} end
  if seen[1] then return {'replayed', seen[2]} end
end

for _, upload in ipairs(a.uploads) do
  if redis.call('HGET', 'lk:media:' .. upload, 'tenant') ~= a.tenant then return {'unknown_input'} end
  if is_claimed(upload, a.now_ms / 1000) then return {'upload_in_use'} end
end
for _, identity in ipairs(a.identities) do
  if redis.call('HGET', 'lk:erased:' .. identity, 'tenant') == a.tenant then return {'identity_erased'} end
  if redis.call('HGET', 'lk:identity:' .. identity, 'tenant') ~= a.tenant then return {'unknown_identity'} end
end

local own = redis.call('HMGET', 'lk:tenant:' .. a.tenant, 'max_jobs', 'max_bytes')
local tenant_jobs, tenant_bytes = tonumber(own[1]) or a.limits.tenant_jobs, tonumber(own[2]) or a.limits.tenant_bytes
local tenant_active = 'lk:tenant:' .. a.tenant .. ':active'
local held = tonumber(redis.call('HGET', 'lk:bytes', a.tenant) or 0)
if redis.call('SCARD', tenant_active) >= tenant_jobs or held + a.bytes > tenant_bytes then return {'quota_exceeded'} end
if stored_bytes(a.tenant) >= storage_quota(a.tenant, a.limits.tenant_stored_bytes) then return {'storage_quota'} end
local all_held = tonumber(redis.call('HGET', 'lk:bytes', '*') or 0)
if redis.call('ZCARD', 'lk:jobs:active') >= a.limits.jobs or all_held + a.bytes > a.limits.bytes then
  return {'queue_full'}
end

for name, value in pairs(a.fields) do redis.call('HSET', 'lk:job:' .. a.id, name, value) end
redis.call('ZADD', 'lk:jobs:active', a.now_ms, a.id)
redis.call('SADD', tenant_active, a.id)
redis.call('ZADD', 'lk:tenant:' .. a.tenant .. ':jobs', 0, a.id)
redis.call('HINCRBY', 'lk:bytes', a.tenant, a.bytes)
redis.call('HINCRBY', 'lk:bytes', '*', a.bytes)
redis.call('ZADD', 'lk:deadlines', a.deadline_ms, a.id)
for _, upload in ipairs(a.uploads) do
  redis.call('SADD', 'lk:media:' .. upload .. ':holds', a.id)
  redis.call('SADD', 'lk:media:' .. upload .. ':jobs', a.id)
end
for _, identity in ipairs(a.identities) do
  redis.call('SADD', 'lk:identity:' .. identity .. ':jobs', a.id)
  redis.call('HINCRBY', 'lk:identity:' .. identity, 'uses', 1)
end
add_task(a.id, a.id, a.tenant, a.queue, a.class, 'waiting')
redis.call('ZADD', 'lk:active', a.now_ms, a.id)
stand_in_line(a.id, a.tenant, a.queue, a.class, a.now_ms)
emit(a.id, 'status', '{"status":"queued"}')
if idem then
  redis.call('HSET', idem.key, 'fingerprint', idem.fingerprint, 'job', a.id)
  redis.call('PEXPIRE', idem.key, idem.ttl_ms)
end
return {'accepted', a.id}
