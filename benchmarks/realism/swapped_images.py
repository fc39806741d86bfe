"""Swaps pairs of evaluation people once, as production swaps an image, and keeps the results.

Sources are registered from one photo. Where a person has another photo, that one is in the gallery
which R1 is measured against.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.realism import readings
from benchmarks.realism.material import engine, evaluation, faces, identity_of, kept, version_of
from models.inference.arrays import Landmarks, Mask, RgbImage
from models.inference.frames.image_frame import ImageFrame
from models.inference.options import FaceSelector
from models.inference.swapping.selection import Assignment
from models.training.dataset import CANVAS, to_canvas
from models.training.evaluation.evaluate import Pair
from models.training.evaluation.evaluate_pack import photograph, swapped

Array = NDArray[Any]


@dataclass(frozen=True)
class SwappedImage:
    """One swap of crop files, uint8 RGB [288, 288, 3]; `mesh` is the target's in their pixels."""

    pair: Pair
    person: int
    has_other_photo: bool
    before: RgbImage
    after: RgbImage
    mesh: Landmarks

    @cached_property
    def mask(self) -> Mask:
        """Return where the mesh's own mask shows a face, float32 [288, 288] in 0..1."""
        hull = evaluation().canonical.hull(faces().meshes[self.pair.target])
        back = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        to_crop = faces().to_crop[self.pair.target]
        return np.asarray(cv2.warpAffine(hull, to_crop, (CANVAS, CANVAS), flags=back), np.float32)


@cache
def swapped_images() -> list[SwappedImage]:
    """Return all pairs, swapped. Pairs whose source is refused count as untouched targets."""
    path = kept("images", version_of([Path(__file__)]))
    if not path.exists():
        np.savez(path, after=np.stack([_swap(pair) for pair in evaluation().pairs]))
    with np.load(path, allow_pickle=False) as file:
        after = file["after"]

    return [
        swapped_image(pair, image) for pair, image in zip(evaluation().pairs, after, strict=True)
    ]


def _swap(pair: Pair) -> RgbImage:
    target = photograph(faces(), pair.target)
    identity = identity_of(pair.source)
    if identity is None:
        # A refused source leaves the target as it is: left out, it would improve every mean.
        return np.ascontiguousarray(target[..., ::-1])
    return swapped(engine(), target, Assignment(FaceSelector("largest"), identity))


def swapped_image(pair: Pair, after: RgbImage) -> SwappedImage:
    person = evaluation().sources.index(pair.source)
    return SwappedImage(
        pair=pair,
        person=person,
        has_other_photo=evaluation().gallery[person] != pair.source,
        before=faces().crops[pair.target],
        after=after,
        mesh=to_canvas(faces().meshes[pair.target], faces().to_crop[pair.target]),
    )


@cache
def embeddings() -> tuple[Array, Array]:
    """Return the independent encoder's embeddings of all results and of their targets."""
    encoder = evaluation().encoder
    found = swapped_images()
    after = encoder.embed([swap.after for swap in found])
    # Each target once, though several sources are swapped into it.
    targets = {swap.pair.target: swap.before for swap in found}
    before = dict(zip(targets, encoder.embed(list(targets.values())), strict=True))

    return after, np.stack([before[swap.pair.target] for swap in found])


def eyes_of(image: RgbImage, near: Landmarks) -> readings.Eyes:
    """Return lids and irises of the face in a crop file."""
    frame = ImageFrame(np.ascontiguousarray(image[..., ::-1]))
    return readings.eyes_at(frame, readings.mesh_at(frame, near))
