"""Who is in a video, before it is swapped."""
