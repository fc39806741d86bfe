"""How a result is put together: encoded segments and the tracks that are copied."""
