"""Jobs in the store: their records, their tasks, and what RQ carries to the workers."""
