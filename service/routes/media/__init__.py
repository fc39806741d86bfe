"""Routes whose bodies are files: uploads of all kinds, and results."""
