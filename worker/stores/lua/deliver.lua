-- flags: allow-oom
-- Hand to RQ what it may hold now: tenants in turn, each tenant's own by priority and age.
-- uses: tasks
-- Returns a flat list of what was handed over: task, attempt, task, attempt, …
local a = cjson.decode(ARGV[1])
local turn, delivered = key.turn(a.queue), key.delivered(a.queue)
local picked = {}

-- As RQ's own `enqueue_call` would: a record, which our workers do not read, and the id in its queue.
local function push(task, attempt)
  local name = task .. '-' .. attempt
  redis.call('SADD', 'rq:queues', 'rq:queue:' .. a.queue)
  redis.call('HSET', 'rq:job:' .. name, 'status', 'queued', 'origin', a.queue, 'created_at', a.rq.now,
    'enqueued_at', a.rq.now, 'description', name, 'timeout', a.rq.timeout_s, 'result_ttl', a.rq.ttl_s,
    'failure_ttl', a.rq.ttl_s, 'data', string.format(a.rq.call, task, attempt))
  redis.call('EXPIRE', 'rq:job:' .. name, a.rq.timeout_s + a.rq.ttl_s)
  redis.call('RPUSH', 'rq:queue:' .. a.queue, name)
end

local function serve(tenant)
  local line, out = key.line(a.queue, tenant), key.out(a.queue, tenant)
  local share = tonumber(redis.call('HGET', key.tenant(tenant), 'max_running')) or a.tenant_running
  if redis.call('SCARD', out) >= share then
    redis.call('ZREM', turn, tenant)  -- until one of its tasks gives its place back, or another one comes
    return false
  end
  local task = redis.call('ZPOPMIN', line)[1]
  local clock = tonumber(redis.call('GET', key.turn_clock(a.queue)) or 0)
  local start = math.floor(tonumber(redis.call('ZSCORE', turn, tenant)))
  redis.call('SET', key.turn_clock(a.queue), math.max(clock, start))
  redis.call('HSET', key.turn_served(a.queue), tenant, start + TURN_MS)
  if redis.call('EXISTS', line) == 0 then redis.call('ZREM', turn, tenant)
  else redis.call('ZADD', turn, start + TURN_MS, tenant) end
  if not task then return false end
  redis.call('SADD', delivered, task)
  redis.call('SADD', out, task)
  redis.call('HSET', key.task(task), 'state', 'delivered')
  local attempt = redis.call('HGET', key.task(task), 'attempt')
  push(task, attempt)
  table.insert(picked, task)
  table.insert(picked, attempt)
  return true
end

-- No more than idle workers can take up: what RQ holds already, nobody else can come before.
local room = a.window
local workers = redis.call('SCARD', 'rq:workers:' .. a.queue)
if workers > 0 then room = math.min(room, workers - redis.call('SCARD', key.running(a.queue))) end
room = room - redis.call('SCARD', delivered)
local function serve_in_turns()
  while room > 0 do
    local tenant = redis.call('ZRANGE', turn, 0, 0)[1]
    if not tenant then break end
    if serve(tenant) then room = room - 1 end
  end
end
serve_in_turns()

-- Workers that nobody else needs take the parts that long videos hold back, videos in turn.
local holding = key.holding(a.queue)
while workers > 0 and room > 0 do
  local job = redis.call('ZRANGE', holding, 0, 0)[1]
  if not job then break end
  local part = redis.call('LPOP', key.job_held(job))
  if part then
    local before = room
    local tenant, class = unpack(redis.call('HMGET', key.task(part), 'tenant', 'class'))
    redis.call('HSET', key.task(part), 'state', 'waiting')
    redis.call('ZADD', key.tasks_active(), a.now_ms, part)
    redis.call('ZADD', holding, redis.call('INCR', key.turn_clock(a.queue)), job)
    stand_in_line(part, tenant, a.queue, tonumber(class), a.now_ms)
    serve_in_turns()
    if room == before then break end  -- the tenant has its share
  else
    redis.call('ZREM', holding, job)
  end
end
return picked
