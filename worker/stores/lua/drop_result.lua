-- flags: allow-oom
-- Take the bytes of a deleted result off its tenant's account.
-- uses: storage
local a = cjson.decode(ARGV[1])
forget_result_bytes(key.job(a.job))
return 'dropped'
