"""Animations: frame by frame, all in one go."""
