-- Accept a job, or say why not: idempotency, inputs, bounds, record and reservation in one step.
-- uses: tasks
-- uses: storage
-- uses: audit
-- Returns {outcome, job id or retry hint}.
local a = cjson.decode(ARGV[1])
-- The client sends a script again when the connection broke before the answer came. Written once more, because
-- durable is what the new connection has written.
if redis.call('EXISTS', key.job(a.id)) == 1 then
  redis.call('HSET', key.job(a.id), 'id', a.id)
  return {'accepted', a.id}
end
local idem = a.idempotency
if idem then
  local seen = redis.call('HMGET', idem.key, 'fingerprint', 'job')
  if seen[1] and seen[1] ~= idem.fingerprint then return {'idempotency_mismatch'} end
  if seen[1] and not seen[2] then return {'idempotency_in_progress'} end
  if seen[1] then return {'replayed', seen[2]} end
end

for _, upload in ipairs(a.uploads) do
  if redis.call('HGET', key.upload(upload), 'tenant') ~= a.tenant then return {'unknown_input'} end
  if is_claimed(upload, a.now_ms / 1000) then return {'upload_in_use'} end
end
for _, identity in ipairs(a.identities) do
  if redis.call('HGET', key.erased(identity), 'tenant') == a.tenant then return {'identity_erased'} end
  if redis.call('HGET', key.identity(identity), 'tenant') ~= a.tenant then return {'unknown_identity'} end
end

local own = redis.call('HMGET', key.tenant(a.tenant), 'max_jobs', 'max_bytes')
local tenant_jobs, tenant_bytes = tonumber(own[1]) or a.limits.tenant_jobs, tonumber(own[2]) or a.limits.tenant_bytes
local tenant_active = key.tenant_active(a.tenant)
local held = tonumber(redis.call('HGET', key.input_bytes(), a.tenant) or 0)
if redis.call('SCARD', tenant_active) >= tenant_jobs or held + a.bytes > tenant_bytes then return {'quota_exceeded'} end
if stored_bytes(a.tenant) >= storage_quota(a.tenant, a.limits.tenant_stored_bytes) then return {'storage_quota'} end
local all_held = tonumber(redis.call('HGET', key.input_bytes(), '*') or 0)
if redis.call('ZCARD', key.jobs_active()) >= a.limits.jobs or all_held + a.bytes > a.limits.bytes then
  return {'queue_full'}
end

if a.batch and redis.call('HGET', key.batch(a.batch), 'tenant') ~= a.tenant then return {'unknown_batch'} end
for name, value in pairs(a.fields) do redis.call('HSET', key.job(a.id), name, value) end
redis.call('ZADD', key.jobs_active(), a.now_ms, a.id)
redis.call('SADD', tenant_active, a.id)
redis.call('ZADD', key.tenant_jobs(a.tenant), 0, a.id)
redis.call('HINCRBY', key.input_bytes(), a.tenant, a.bytes)
redis.call('HINCRBY', key.input_bytes(), '*', a.bytes)
redis.call('ZADD', key.deadlines(), a.deadline_ms, a.id)
for _, upload in ipairs(a.uploads) do
  redis.call('SADD', key.upload_holds(upload), a.id)
  redis.call('SADD', key.upload_jobs(upload), a.id)
end
for _, identity in ipairs(a.identities) do
  redis.call('SADD', key.identity_jobs(identity), a.id)
  redis.call('HINCRBY', key.identity(identity), 'uses', 1)
end
add_task(a.id, a.id, a.tenant, a.queue, a.class, 'waiting')
redis.call('ZADD', key.tasks_active(), a.now_ms, a.id)
stand_in_line(a.id, a.tenant, a.queue, a.class, a.now_ms)
emit(a.id, 'status', '{"status":"queued"}')
for _, body in ipairs(a.audit) do append_audit(body) end
if a.batch then
  redis.call('RPUSH', key.batch_jobs(a.batch), a.id)
  redis.call('EXPIRE', key.batch_jobs(a.batch), redis.call('TTL', key.batch(a.batch)))
end
if idem then
  redis.call('HSET', idem.key, 'fingerprint', idem.fingerprint, 'job', a.id)
  redis.call('PEXPIRE', idem.key, idem.ttl_ms)
end
return {'accepted', a.id}
