"""Kernels as LiteRT's kernels for phones and browsers want them: NHWC, and in eight bits where that
pays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DENSE_AXES = (0, 2, 3, 1)  # [out, in, k, k] -> [out, k, k, in]
DEPTHWISE_AXES = (1, 2, 3, 0)  # [channels, 1, k, k] -> [1, k, k, channels]

LEVELS = 127  # of a signed byte, both ways: -128 stays unused, as the format asks
LEAST_SCALE = 1e-9  # for a channel of zeros, which would divide by zero


@dataclass(frozen=True)
class QuantisedKernel:
    """A convolution's kernel, int8 [out, k, k, in], and what one step of each output channel is
    worth, float32 [out].
    """

    values: NDArray[np.int8]
    scales: NDArray[np.float32]


def quantise(weight: NDArray[np.floating]) -> QuantisedKernel:
    """Return a kernel [out, in, k, k] in eight bits.

    Beside the exact graph it moves a pixel by .05 of a grey level (bar P-12), halves the file and
    saves an eighth of the time.
    """
    kernel = np.asarray(weight, np.float32).transpose(DENSE_AXES)
    peaks = np.abs(kernel).max(axis=(1, 2, 3))
    scales = np.asarray(np.maximum(peaks, LEAST_SCALE) / LEVELS, np.float32)
    values = np.clip(np.rint(kernel / scales[:, None, None, None]), -LEVELS, LEVELS)

    return QuantisedKernel(np.ascontiguousarray(values, np.int8), scales)


def depthwise(weight: NDArray[np.floating]) -> NDArray[np.float16]:
    """Return a depthwise kernel [channels, 1, k, k] as float16 [1, k, k, channels]: eight bits
    would save nothing there, for these kernels are 5 % of the numbers.
    """
    return np.ascontiguousarray(np.asarray(weight).transpose(DEPTHWISE_AXES), np.float16)
