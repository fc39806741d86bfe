"""Bars of realism: what a swap does to eyes, expression, light, hair, detail and identity."""
