"""Samples for the cover network: a face, what was put in front of it, and exactly where."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.inference.arrays import Affine
from models.inference.frames.affine import compose, transform
from models.inference.painting.face_guide import face_guide
from models.networks.cover_net import KINDS, SIZE
from models.training.cover import scenes
from models.training.cover.canvas import CHEEKS, Canvas, Generator
from models.training.cover.hair_of_others import Head, given_hair
from models.training.cover.material import Faces
from models.training.cover.occluders import Hands, cover

Array = NDArray[Any]

HAIR_OF_OTHERS = 0.25
MOVING = 0.35  # of the samples: from clips, few people but mouths and brows that move, or turned
UNCOVERED = 0.3
OPENED = 0.25
BEARDED = 0.18
LIT_ALIKE = 0.4
MESH_NOISE_PX = 0.8  # the mesh is off where something hides the face
GLASSES_REGION = (33, 263, 70, 300, 117, 346)
GLASSES_MARGIN_PX = 8
HAIRED = 0.012  # of the image: a fringe or a strand, and not the hair line alone
MARGIN = 16  # of the stored faces around the crop


@dataclass(frozen=True)
class Batch:
    """x [n, 8, 112, 112]: what the network sees; truth and weight [n, 3, 112, 112], one plane of
    each kind: covered or not, and whether that is known.
    """

    x: Tensor
    truth: Tensor
    weight: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        x, truth, weight = (
            plane.to(device, non_blocking=True) for plane in (self.x, self.truth, self.weight)
        )
        return Batch(x, truth, weight)


@dataclass(frozen=True)
class SampleMaker:
    """Draws batches; batch k of a seed is always the same."""

    faces: Faces
    hands: Hands
    size: int
    seed: int

    def batch(self, step: int) -> Batch:
        """Return the batch of one step."""
        # Seeded by step: batch k of a seed is always the same.
        rng = np.random.default_rng((self.seed, step))
        samples = [self.sample(rng) for _ in range(self.size)]
        x, truth, weight = (
            torch.from_numpy(np.stack([sample[part] for sample in samples])) for part in range(3)
        )

        return Batch(x, truth, weight)

    def sample(self, rng: Generator) -> tuple[Array, Array, Array]:
        """Return input [8, 112, 112], truth and weight [3, 112, 112], all float32."""
        row = self._row(rng)
        image = self.faces.images[row]
        mesh = self.faces.meshes[row]
        hair = self.faces.hair[row].astype(np.float32)
        unsure = self.faces.unsure[row].astype(np.float32)

        if rng.random() < HAIR_OF_OTHERS:
            other = self._head(int(rng.choice(self._haired)))
            image, hair, unsure = given_hair(Head(image, mesh, hair, unsure), other, rng)

        if rng.random() < OPENED:
            image, mesh = scenes.open_mouth(rng, image, mesh)

        to_crop = _change(rng)
        image = _warped(scenes.soften(rng, image), to_crop)
        mesh = transform(mesh, to_crop)
        seen_mesh = mesh + rng.normal(0, MESH_NOISE_PX, 2) + rng.normal(0, 0.2, mesh.shape)
        guide = face_guide(np.asarray(seen_mesh, np.float32), SIZE)

        # Other faces lend their colours to what is put in front of this one.
        canvas = Canvas(image.astype(np.float32), mesh, guide[2], np.zeros(3), self._others(rng))
        canvas.covered["hair"] = _warped(hair, to_crop)

        if rng.random() < BEARDED:
            scenes.grow_beard(canvas, rng)

        # A lamp shines on the face alone, or on what is in front of it as well.
        alike = bool(rng.random() < LIT_ALIKE)
        if not alike:
            scenes.light(canvas, rng)

        canvas.skin = _skin(canvas)
        before = {kind: plane.copy() for kind, plane in canvas.covered.items()}

        if rng.random() > UNCOVERED:
            cover(canvas, rng, self.hands)
        if alike:
            scenes.light(canvas, rng)

        weight = self._weight(canvas, before, _warped(unsure, to_crop))
        if not self.faces.bare[row]:
            weight[KINDS.index("glasses")] *= _known_glasses(canvas)

        truth = np.stack([canvas.covered[kind] for kind in KINDS])
        seen = scenes.photograph(rng, canvas.image)
        x = np.concatenate([seen.transpose(2, 0, 1) / 127.5 - 1, guide]).astype(np.float32)

        # Half are mirrored: parting, light and hands come from both sides alike.
        if rng.random() < 0.5:
            x = _mirrored(x)
            truth = truth[..., ::-1]
            weight = weight[..., ::-1]

        return x, np.ascontiguousarray(truth), np.ascontiguousarray(weight)

    def _row(self, rng: Generator) -> int:
        moving = bool(rng.random() < MOVING) and bool(self.faces.moving.any())
        return int(rng.choice(np.flatnonzero(self.faces.moving == moving)))

    def _others(self, rng: Generator) -> tuple[Array, Array]:
        first, second = rng.integers(len(self.faces.images), size=2)
        return self.faces.images[first], self.faces.images[second]

    def _head(self, row: int) -> Head:
        faces = self.faces
        hair = faces.hair[row].astype(np.float32)
        return Head(
            faces.images[row], faces.meshes[row], hair, faces.unsure[row].astype(np.float32)
        )

    @cached_property
    def _haired(self) -> Array:
        """Rows of people whose hair hangs over their faces; all of them where nobody's does."""
        shares = self.faces.hair.mean((1, 2))
        found = np.flatnonzero((shares > HAIRED) & ~self.faces.moving)
        return found if len(found) else np.arange(len(shares))

    def _weight(self, canvas: Canvas, before: dict[str, Array], unsure: Array) -> Array:
        """1 on the face and just around it; 0 where a face's own hair is in doubt and nothing
        known lies over it.
        """
        near = np.clip(cv2.dilate(canvas.hull, np.ones((5, 5), np.uint8)) * 4, 0, 1)
        pasted = sum(np.clip(canvas.covered[kind] - before[kind], 0, 1) for kind in KINDS)
        known = np.maximum(1 - unsure, np.asarray(pasted) > 0.5)
        weight = np.stack([near * known, near, near])

        return np.asarray(weight, np.float32)


def _change(rng: Generator) -> Affine:
    centre = (MARGIN + SIZE - 1) / 2 + MARGIN / 2
    change = cv2.getRotationMatrix2D(
        (centre, centre), float(rng.normal(0, 3)), float(rng.normal(1, 0.04))
    )
    shift = rng.normal(0, 1.5, 2) - MARGIN

    return compose(np.column_stack([np.eye(2), shift]), np.asarray(change))


def _warped(plane: Array, to_crop: Affine) -> Array:
    return np.asarray(cv2.warpAffine(plane, to_crop, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE))


def _known_glasses(canvas: Canvas) -> Array:
    """0 around the eyes of portraits that may wear glasses, but for what was pasted there."""
    region = canvas.mesh[list(GLASSES_REGION)]
    known = np.ones((SIZE, SIZE), np.float32)
    left, top = np.clip(region.min(0) - GLASSES_MARGIN_PX, 0, SIZE).astype(int)
    right, bottom = np.clip(region.max(0) + GLASSES_MARGIN_PX, 0, SIZE).astype(int)
    known[top:bottom, left:right] = 0
    covered = np.maximum(canvas.covered["glasses"], canvas.covered["object"])

    return np.maximum(known, covered > 0.5)


def _skin(canvas: Canvas) -> Array:
    at = np.clip(canvas.mesh[list(CHEEKS)], 0, SIZE - 1).astype(int)
    return np.asarray(canvas.image[at[:, 1], at[:, 0]].mean(0))


def _mirrored(x: Array) -> Array:
    mirrored = x[..., ::-1].copy()
    mirrored[3] *= -1  # the face's coordinate across
    return mirrored
