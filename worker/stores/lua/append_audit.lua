-- Append an audit entry under the next number, and return it.
-- uses: audit
local a = cjson.decode(ARGV[1])
return append_audit(a.body)
