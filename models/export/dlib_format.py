"""Reads the weights of dlib's face recognition ResNet from its serialised form (dlib/serialize.h,
dlib/dnn/layers.h).

The file nests about 130 layers, innermost first; only convolutions, affine layers and the final
linear carry numbers, each behind the name of its own serialisation version. The layers between are
known, so they are skipped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.float32]]

# (name, blocks, width): levels from the image up; the first block of all but the first level halves
# the image. As in `models.networks.dlib_resnet`, which takes torch to import.
LEVELS = (
    ("level4", 3, 32),
    ("level3", 4, 64),
    ("level2", 3, 128),
    ("level1", 3, 256),
    ("level0", 1, 256),
)


class DlibFormatError(ValueError):
    """The file is not dlib's face recognition ResNet v1."""


def read_resnet(data: bytes) -> Weights:
    """Return the network's weights, named as `models.networks.dlib_resnet` names them.

    Each affine layer is folded into the convolution before it: y = gamma * (w * x + b) + beta.
    Raises DlibFormatError.
    """
    reader = _Reader(data)
    weights: Weights = {}

    for name in _convolution_names():
        kernel, bias = reader.convolution()
        gamma, beta = reader.affine(len(bias))
        # A norm with fixed statistics is a gain and a shift: both fold into the convolution before
        # it.
        weights[f"{name}.weight"] = kernel * gamma[:, None, None, None]
        weights[f"{name}.bias"] = bias * gamma + beta

    # dlib stores inputs by outputs; torch and ONNX have it the other way round.
    weights["embed.weight"] = np.ascontiguousarray(reader.linear().T)
    return weights


def _convolution_names() -> list[str]:
    blocks = [f"{level}.{index}" for level, count, _ in LEVELS for index in range(count)]
    return ["stem", *(f"{block}.{part}" for block in blocks for part in ("conv1", "conv2"))]


@dataclass
class _Reader:
    data: bytes
    position: int = 0

    def convolution(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        self.seek("con_4")
        numbers = self.tensor()
        filters, rows, columns = (self.integer() for _ in range(3))
        kernel = numbers[:-filters]
        bias = numbers[-filters:]

        return kernel.reshape(filters, -1, rows, columns), bias

    def affine(self, channels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        self.seek("affine_")
        numbers = self.tensor()
        return numbers[:channels], numbers[channels:]

    def linear(self) -> NDArray[np.float32]:
        self.seek("fc_2")
        outputs = self.integer()
        inputs = self.integer()
        return self.tensor().reshape(inputs, outputs)

    def seek(self, version: str) -> None:
        """Move behind the next layer of this version: a string with its length in front."""
        # How dlib begins a layer: a length of one byte, the version's length, its name.
        tag = b"\x01" + bytes([len(version)]) + version.encode()
        # Layers come in the order of the network, so that the next of a kind is the one that is
        # meant.
        found = self.data.find(tag, self.position)

        if found < 0:
            raise DlibFormatError(f"no {version} layer where one is expected")

        self.position = found + len(tag)

    def integer(self) -> int:
        """Return a variable-length integer: a byte with the number of bytes (and the sign in its
        top bit), then those.
        """
        # The low four bits count the bytes that follow; no number of the file is negative.
        size = self.data[self.position] & 0x0F
        start = self.position + 1
        self.position = self.position + 1 + size

        return int.from_bytes(self.data[start : self.position], "little")

    def tensor(self) -> NDArray[np.float32]:
        """Return the numbers of a serialised tensor, flat: format version 2, four sizes,
        little-endian float32.
        """
        # Another version may lay its numbers out otherwise; read as this one they would be noise.
        if self.integer() != 2:
            raise DlibFormatError("a tensor of an unknown format version")

        count = int(np.prod([self.integer() for _ in range(4)]))
        start = self.position
        self.position = self.position + 4 * count

        return np.frombuffer(self.data, "<f4", count, start).copy()
