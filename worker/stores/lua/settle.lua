-- flags: allow-oom
-- End a job, once: a stale attempt, a second commit or a cancelled attempt's success changes nothing.
-- uses: tasks
-- uses: storage
-- uses: audit
-- Returns the status the job ended with, 'canceling' when only a cancellation may end it, 'identity_erased' when
-- nothing may be made of its identities any more, or 'superseded'.
local a = cjson.decode(ARGV[1])
local job = key.job(a.job)
local status = redis.call('HGET', job, 'status')
if not status or FINAL[status] then return 'superseded' end
if a.task then
  local task, why = fenced(a.task, a.attempt, a.job)
  if not task then return why end
end
if a.status == 'succeeded' then
  if status == 'canceling' then return 'canceling' end
  for _, identity in ipairs(cjson.decode(redis.call('HGET', job, 'identities'))) do
    if redis.call('EXISTS', key.identity(identity)) == 0 then return 'identity_erased' end
  end
end

local ending, fields = a.status, a.fields
local reason = redis.call('HGET', job, 'cancel_reason')
local WHY = {  -- a client that cancels its own job knows why
  deadline_exceeded = 'The job was not done by its deadline.',
  identity_erased = 'An identity of this job was erased.',
  consent_expired = 'The consent to an identity of this job has expired.',
}
if ending == 'canceled' and WHY[reason] then
  if reason == 'deadline_exceeded' then ending = 'expired' end
  fields.error = cjson.encode({code = reason, detail = WHY[reason]})
end
fields.status = ending
if ending == 'succeeded' then  -- also where its last report is still on the way
  fields.progress_done = redis.call('HGET', job, 'progress_total') or nil
end
for _, upload in ipairs(cjson.decode(redis.call('HGET', job, 'uploads'))) do
  if redis.call('HEXISTS', key.upload(upload), 'doomed') == 1 then fields.expires_at = a.now end
end
for name, value in pairs(fields) do redis.call('HSET', job, name, value) end
redis.call('HINCRBY', job, 'version', 1)

local tenant = redis.call('HGET', job, 'tenant')
for _, name in ipairs(redis.call('SMEMBERS', key.job_tasks(a.job))) do
  local queue = redis.call('HGET', key.task(name), 'queue')
  leave(name, tenant, queue, a.now)
  redis.call('ZREM', key.holding(queue), a.job)
  redis.call('DEL', key.task(name))
end
redis.call('DEL', key.job_tasks(a.job), key.job_held(a.job), key.job_parts(a.job), key.job_spent(a.job))
redis.call('HDEL', job, 'plan')  -- it has the faces of everybody in a video
redis.call('ZREM', key.jobs_active(), a.job)
redis.call('ZREM', key.deadlines(), a.job)
redis.call('ZREM', key.canceling(), a.job)
redis.call('SREM', key.tenant_active(tenant), a.job)
local bytes = tonumber(redis.call('HGET', job, 'input_bytes') or 0)
redis.call('HINCRBY', key.input_bytes(), tenant, -bytes)
redis.call('HINCRBY', key.input_bytes(), '*', -bytes)
if not a.dead then  -- a dead letter may be done again
  for _, upload in ipairs(cjson.decode(redis.call('HGET', job, 'uploads'))) do
    redis.call('SREM', key.upload_holds(upload), a.job)
  end
end
if ending == 'succeeded' and fields.result then
  local bytes = cjson.decode(fields.result).bytes
  redis.call('HSET', job, 'stored_bytes', bytes)
  add_stored(tenant, bytes)
end
if a.dead then redis.call('ZADD', key.dead(), a.now, a.job) end
local kind = redis.call('HGET', job, 'kind')
redis.call('HINCRBY', key.stats(), ending .. ':' .. kind, 1)
for stage, ms in pairs(cjson.decode(fields.timings or '{}')) do
  redis.call('HINCRBYFLOAT', key.stages(), kind .. ':' .. stage .. ':sum', ms)
  redis.call('HINCRBY', key.stages(), kind .. ':' .. stage .. ':count', 1)
  for _, bound in ipairs(a.buckets_ms) do
    if ms <= bound then
      redis.call('HINCRBY', key.stages(), kind .. ':' .. stage .. ':' .. bound, 1)
      break
    end
  end
end

for name, count in pairs(a.counters) do redis.call('HINCRBY', key.stats(), 'engine:' .. name, count) end

local function post(subject, message, endpoint)
  redis.call('HSET', key.message(message), 'job', subject, 'tenant', tenant, 'endpoint', endpoint, 'attempt', 0)
  redis.call('EXPIRE', key.message(message), a.record_ttl_s)
  redis.call('ZADD', key.messages_due(tenant), a.now, message)
  redis.call('ZADD', key.message_tenants(), 'NX', 0, tenant)
end
local function announce(subject, has_webhook)
  local suffix = string.sub(subject, 5)
  if has_webhook then post(subject, 'msg_' .. suffix, '') end
  for _, endpoint in ipairs(redis.call('SMEMBERS', key.tenant_endpoints(tenant))) do
    post(subject, 'msg_' .. suffix .. '_' .. string.sub(endpoint, 5), endpoint)
  end
end
local batch = redis.call('HGET', job, 'batch')
if batch then  -- one message when the last of its jobs has ended, instead of one for each
  local total = tonumber(redis.call('HGET', key.batch(batch), 'total'))
  if total and redis.call('HINCRBY', key.batch(batch), 'ended', 1) == total then
    redis.call('HSET', key.batch(batch), 'finished_at', a.now)
    announce(batch, redis.call('HEXISTS', key.batch(batch), 'webhook') == 1)
  end
else
  announce(a.job, redis.call('HEXISTS', job, 'webhook') == 1)
end

-- Made for this job alone: the next expiry sweep erases it, also where nobody waits for the job.
local temporary = redis.call('HGET', job, 'temporary_identity')
if temporary then redis.call('ZADD', key.expiry(), a.now, temporary) end
redis.call('ZADD', key.expiry(), fields.expires_at, a.job)
redis.call('ZADD', key.settled(), a.now, a.job)
if ending ~= 'succeeded' then redis.call('SADD', key.leftovers(), a.job) end  -- whatever its attempts left on disk
redis.call('ZREMRANGEBYLEX', key.tenant_jobs(tenant), '-', '(' .. a.oldest)  -- ids sort by time
redis.call('EXPIRE', job, a.record_ttl_s)
for _, body in ipairs(a.audit) do append_audit(body) end
emit(a.job, 'completed', cjson.encode({status = ending}))
redis.call('EXPIRE', key.job_events(a.job), a.events_ttl_s)
return ending
