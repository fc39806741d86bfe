-- Shared by scripts that say `-- uses: tasks`: how a task moves from its tenant's line to RQ and to its end.
--
-- line(queue, tenant)   tasks waiting to be delivered, by priority class and time
-- turn(queue)           tenants with a line and room in their share, by the workers' time that they have had
-- turn_served(queue)    tenants that have had a line, likewise
-- turn_clock(queue)     the least of those times that anybody was served at: where newcomers begin
-- queued(queue)         tasks that nobody has begun, by since when they wait: for gauges
-- delivered(queue)      tasks handed to RQ that no worker has begun
-- running(queue)        tasks that a worker has begun
-- out(queue, tenant)    tasks handed to RQ or running: the tenant's share of the workers
-- tasks_active          every task that is not done, by since when

local FINAL = {succeeded = true, failed = true, canceled = true, expired = true}
local TURN_MS = 1000  -- what a task counts at least; known only at its end, it counts as much until then
local MOST_MS = 10000  -- of one task: a longer wait would punish for time that perhaps nobody else wanted
local CLASS = 1e13  -- wider than a time in milliseconds, so that the class always decides first

local function take_turns(tenant, queue)
  -- Who comes anew stands before the one that was served last, and behind all who wait: time spent
  -- without a line, or without room in its share, counts for nothing.
  local newcomer = tonumber(redis.call('GET', key.turn_clock(queue)) or 0) + TURN_MS - 1
  local served = tonumber(redis.call('HGET', key.turn_served(queue), tenant) or 0)
  redis.call('ZADD', key.turn(queue), 'NX', math.max(newcomer, served), tenant)
end

local function stand_in_line(task, tenant, queue, class, ms)
  redis.call('ZADD', key.line(queue, tenant), class * CLASS + ms, task)
  redis.call('ZADD', key.queued(queue), redis.call('ZSCORE', key.tasks_active(), task) or ms, task)
  take_turns(tenant, queue)
end

-- Count the time that a task took its worker, beyond what it has counted for already: tenants share the workers'
-- time, so that short tasks do not take turns with long ones, one for one.
local function charge(task, tenant, queue, now_s)
  local taken = tonumber(redis.call('HGET', key.task(task), 'taken'))
  if not taken then return end
  redis.call('HDEL', key.task(task), 'taken')
  local more = math.floor(math.min((now_s - taken) * 1000, MOST_MS)) - TURN_MS
  if more <= 0 then return end
  local served = redis.call('HINCRBY', key.turn_served(queue), tenant, more)
  local score = tonumber(redis.call('ZSCORE', key.turn(queue), tenant))
  if score then redis.call('ZADD', key.turn(queue), math.max(score, served), tenant) end
end

-- A task is no longer with RQ or a worker: charge its tenant, and let the next one have its place.
local function give_back_place(task, tenant, queue, now_s)
  charge(task, tenant, queue, now_s)
  redis.call('SREM', key.delivered(queue), task)
  redis.call('SREM', key.running(queue), task)
  local had_place = redis.call('SREM', key.out(queue, tenant), task) == 1
  if had_place and redis.call('EXISTS', key.line(queue, tenant)) == 1 then take_turns(tenant, queue) end
end

local function leave(task, tenant, queue, now_s)
  give_back_place(task, tenant, queue, now_s)
  local line = key.line(queue, tenant)
  redis.call('ZREM', line, task)
  redis.call('ZREM', key.queued(queue), task)
  if redis.call('EXISTS', line) == 0 then redis.call('ZREM', key.turn(queue), tenant) end
  redis.call('ZREM', key.tasks_active(), task)
end

local function add_task(task, job, tenant, queue, class, state)
  redis.call('HSET', key.task(task), 'job', job, 'tenant', tenant, 'queue', queue, 'class', class,
    'state', state, 'attempt', 1, 'begun', 0, 'done', 0)
  redis.call('SADD', key.job_tasks(job), task)
end

local function emit(job, kind, data)
  redis.call('XADD', key.job_events(job), 'MAXLEN', '~', 1000, '*', 'type', kind, 'data', data)
end

-- The task's fields when this attempt may still act, else why not.
local function fenced(task, attempt, job)
  local status = redis.call('HGET', key.job(job), 'status')
  if not status or FINAL[status] then return nil, 'superseded' end
  local f = redis.call('HMGET', key.task(task), 'attempt', 'state', 'tenant', 'queue', 'class', 'begun', 'done')
  if not f[1] or tonumber(f[1]) ~= attempt or f[2] == 'done' then return nil, 'superseded' end
  return {status = status, state = f[2], tenant = f[3], queue = f[4], class = tonumber(f[5]),
    begun = tonumber(f[6]), done = tonumber(f[7])}
end
