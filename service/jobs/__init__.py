"""Jobs: submission, what a client sees of them, their events and webhooks."""
