-- Shared by scripts that say `-- uses: tasks`: how a task moves between its job's line, RQ and nowhere.
--
-- lk:line:{queue}:{tenant}   zset   tasks waiting to be delivered, by priority class and time
-- lk:turn:{queue}            zset   tenants with a line, by when they were last served
-- lk:delivered:{queue}       set    tasks handed to RQ that no worker has begun
-- lk:out:{queue}:{tenant}    set    tasks handed to RQ or running: the tenant's share of the workers
-- lk:active                  zset   every task that is not done, for the reconciler

local FINAL = {succeeded = true, failed = true, canceled = true, expired = true}
local CLASS = 1e13  -- wider than a time in milliseconds, so that the class always decides first

local function stand_in_line(task, tenant, queue, class, ms)
  redis.call('ZADD', 'lk:line:' .. queue .. ':' .. tenant, class * CLASS + ms, task)
  local clock = redis.call('GET', 'lk:turn:' .. queue .. ':clock') or '0'
  redis.call('ZADD', 'lk:turn:' .. queue, 'NX', clock, tenant)
end

local function give_back_place(task, tenant, queue)
  redis.call('SREM', 'lk:delivered:' .. queue, task)
  redis.call('SREM', 'lk:out:' .. queue .. ':' .. tenant, task)
end

local function leave(task, tenant, queue)
  give_back_place(task, tenant, queue)
  local line = 'lk:line:' .. queue .. ':' .. tenant
  redis.call('ZREM', line, task)
  if redis.call('EXISTS', line) == 0 then redis.call('ZREM', 'lk:turn:' .. queue, tenant) end
  redis.call('ZREM', 'lk:active', task)
end

local function add_task(task, job, tenant, queue, class, state)
  redis.call('HSET', 'lk:task:' .. task, 'job', job, 'tenant', tenant, 'queue', queue, 'class', class,
    'state', state, 'attempt', 1, 'begun', 0, 'done', 0)
  redis.call('SADD', 'lk:job:' .. job .. ':tasks', task)
end

local function emit(job, kind, data)
  redis.call('XADD', 'lk:job:' .. job .. ':events', 'MAXLEN', '~', 1000, '*', 'type', kind, 'data', data)
end

-- The task's fields when this attempt may still act, else why not.
local function fenced(task, attempt, job)
  local status = redis.call('HGET', 'lk:job:' .. job, 'status')
  if not status or FINAL[status] then return nil, 'superseded' end
  local f = redis.call('HMGET', 'lk:task:' .. task, 'attempt', 'state', 'tenant', 'queue', 'class', 'begun', 'done')
  if not f[1] or tonumber(f[1]) ~= attempt or f[2] == 'done' then return nil, 'superseded' end
  return {status = status, state = f[2], tenant = f[3], queue = f[4], class = tonumber(f[5]),
    begun = tonumber(f[6]), done = tonumber(f[7])}
end
