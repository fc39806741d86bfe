"""A placed face in the target's light and colours."""
