"""The IDN, specialised to one identity: target crop in, swapped face out, and a soft mask where the
pack's network has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from models.inference.arrays import Mask, RgbImage, Tensor, from_network, to_network
from models.inference.finding.alignment import TEMPLATE_SIZE
from models.inference.native.kernels import Kernels, kernels
from models.inference.painting.cut_graph import GREY, PLANES, cut_graph
from models.inference.session import Network, SessionFactory


class FaceSwapper(Protocol):
    """One identity's session."""

    def swap(self, target: RgbImage, texture: RgbImage | None) -> tuple[RgbImage, Mask | None]:
        """Return the face (uint8 [224, 224, 3]) and how much of it is to show (float32 [224, 224]
        in 0..1), or None where the network leaves that to the mesh.

        `texture` is the identity's texture placed on the target, for packs whose network takes it.
        """
        ...


def open_swapper(
    sessions: SessionFactory, graph: Path, weights: Mapping[str, Tensor], size: int
) -> FaceSwapper:
    """Return the swapper of a pack's graph with an identity's weights; the network works at `size`.

    Raises `BadIdentityError` when they are not the tensors that the graph leaves open.
    """
    native = kernels()
    cut = cut_graph(graph) if native is not None and size == TEMPLATE_SIZE else None
    if native is None or cut is None:
        return WholeSwapper(sessions.open_specialised(graph, weights), size)

    return CutSwapper(sessions.open_specialised(cut, weights), native)


@dataclass(frozen=True)
class CutSwapper:
    """Runs a graph that `cut_graph` cut: the kernels frame the images and blend the face."""

    network: Network
    native: Kernels

    def swap(self, target: RgbImage, texture: RgbImage | None) -> tuple[RgbImage, Mask | None]:
        """As `FaceSwapper.swap`: the blend head has a texture and no mask."""
        shown = target if texture is None else texture
        maps = self.network(self.native.framed_planes(target, shown, PLANES, GREY))
        return self.native.blended_face(target, shown, maps["weight"], maps["residual"]), None


@dataclass(frozen=True)
class WholeSwapper:
    """Runs a pack's graph as it is; crops are 224 px, whatever `size` the network itself works
    at.
    """

    network: Network
    size: int

    def swap(self, target: RgbImage, texture: RgbImage | None) -> tuple[RgbImage, Mask | None]:
        """As `FaceSwapper.swap`."""
        crops = [target] if texture is None else [target, texture]
        outputs = self.network(*(to_network(self._to_size(crop)) for crop in crops))
        mask = outputs.get("mask")

        return self._to_template(from_network(outputs["face"])), self._mask(mask)

    def _to_size(self, crop: RgbImage) -> RgbImage:
        if self.size == TEMPLATE_SIZE:
            return crop
        return np.asarray(cv2.resize(crop, (self.size, self.size), interpolation=cv2.INTER_AREA))

    def _to_template(self, face: RgbImage) -> RgbImage:
        if self.size == TEMPLATE_SIZE:
            return face
        return np.asarray(
            cv2.resize(face, (TEMPLATE_SIZE, TEMPLATE_SIZE), interpolation=cv2.INTER_CUBIC)
        )

    def _mask(self, mask: Tensor | None) -> Mask | None:
        if mask is None:
            return None

        plane: Mask = mask[0, 0]
        if self.size == TEMPLATE_SIZE:
            return plane

        return np.asarray(
            cv2.resize(plane, (TEMPLATE_SIZE, TEMPLATE_SIZE), interpolation=cv2.INTER_LINEAR)
        )
