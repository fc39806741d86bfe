"""Refinement of one identity's weights, run in production by the `refine` worker (needs torch)."""
