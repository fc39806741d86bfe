-- flags: allow-oom
-- Have an upload deleted as soon as no job in flight needs it, and the results of those jobs at their end.
local a = cjson.decode(ARGV[1])
local upload = key.upload(a.upload)
if redis.call('EXISTS', upload) == 0 then return 'unknown' end
redis.call('HSET', upload, 'doomed', 1)
redis.call('ZADD', key.expiry(), a.now, a.upload)
return 'doomed'
