"""What one worker does for the whole installation: revive, end, expire, archive."""
