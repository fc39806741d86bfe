"""Eyes of a placed face that look and shut as the target's do."""
