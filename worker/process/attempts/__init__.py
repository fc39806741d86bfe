"""One attempt at a task: what the parent answers its child, and what becomes of the outcome."""
