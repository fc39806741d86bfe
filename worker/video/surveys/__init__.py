"""Who is in a video, looked up before anything is swapped."""
