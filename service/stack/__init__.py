"""The one-machine install: supervisor, embedded store, demo and the API key command."""
