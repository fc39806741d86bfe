"""Kernels in C for what numpy and OpenCV do in many passes; each has its numpy path beside it."""
