"""Swapping faces in videos, a long one in many tasks."""
