"""Canonical textures of faces: making, rendering and fitting them to a target."""
