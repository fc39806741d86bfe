"""Painting a swapped face: the generator and its weights, occlusion, blending."""
