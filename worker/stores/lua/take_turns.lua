-- flags: allow-oom
-- Let a tenant with a line be served again: its share has grown.
-- uses: tasks
local a = cjson.decode(ARGV[1])
if redis.call('EXISTS', key.line(a.queue, a.tenant)) == 1 then take_turns(a.tenant, a.queue) end
return 'ok'
