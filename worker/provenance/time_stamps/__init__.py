"""RFC 3161 time-stamps of signatures: asking an authority, and where its tokens go."""
