"""Frames as the swapper sees them: RGB images and I420 video frames, and resampling."""
