"""The kernels, beside what numpy and OpenCV do in their place."""
