"""Where the bytes of media lie: a directory that all hosts share, or a bucket of objects."""
