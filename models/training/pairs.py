"""Batches for the trainer: who is put on whom, and what the result should look like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.inference.arrays import Affine, Landmarks, RgbImage
from models.inference.frames.affine import transform
from models.inference.mesh_points import EYES
from models.inference.texture.canonical_shape import SIZE
from models.inference.texture.face_texture import CanonicalFace
from models.training.batch import Batch, Sample, as_planes, as_tensor
from models.training.dataset import FaceSet, centred
from models.training.loop import prefetched
from models.training.quality import Faults, spoilt
from models.training.relight import Relighting
from models.training.teacher import Source, morph, teach

Kind = Literal["self", "same", "cross"]
Generator = np.random.Generator
Array = NDArray[Any]

TURN_DEG, ZOOM, MOVE_PX, GAIN = 6.0, 0.07, 4.0, 0.15
MESH_NOISE_PX = 0.35  # the mesh network's own jitter on video


@dataclass(frozen=True)
class PairMix:
    """How a batch is mixed: `same` and `self_` are shares of targets, `morphs` and `blurred` of
    identities, `relit` of the targets whose truth is a photograph.
    """

    identities: int = 2
    targets: int = 4
    # Two thirds of the truths are photographs (`same`, `self_`), the others the teacher's
    # composites, of which the best student is the placed texture itself.
    same: float = 0.5
    self_: float = 0.15
    morphs: float = 0.2
    blurred: float = 0.2
    # Of the photographs' textures: light is what a texture from elsewhere gets wrong.
    relit: float = 0.7
    spoilt: float = 0.0  # of the teacher's samples, to show what the reweighting is for


@dataclass(frozen=True)
class PairMaker:
    """Draws batches from the training rows; batch k of a seed is always the same batch."""

    faces: FaceSet
    canonical: CanonicalFace
    mix: PairMix
    seed: int

    def batch(self, step: int) -> Batch:
        """Return the batch of one step."""
        rng = np.random.default_rng((self.seed, step))
        groups = [self._identity(rng) for _ in range(self.mix.identities)]
        samples = [sample for _, _, group in groups for sample in group]

        return Batch(
            target=as_tensor([s.target for s in samples]),
            texture=as_tensor([s.texture for s in samples]),
            truth=as_tensor([s.truth for s in samples]),
            mask=as_planes([s.mask for s in samples]),
            known=as_planes([s.known for s in samples]),
            embeddings=torch.from_numpy(np.stack([embedding for embedding, _, _ in groups])),
            canonical=as_tensor([texture for _, texture, _ in groups]),
            real=torch.tensor([s.real for s in samples]),
        )

    def batches(self, first: int, workers: int = 0) -> Iterator[Batch]:
        """Return the batches from a step on, prepared ahead by as many processes, or a thread."""
        return prefetched(self.batch, first, workers)

    def _identity(self, rng: Generator) -> tuple[Array, RgbImage, list[Sample]]:
        # People with several photos are drawn more often: only they have true answers.
        row = int(rng.choice(self._several if rng.random() < 0.7 else self._rows))
        source = Source(self.faces.textures[row], self.faces.meshes[row])
        embedding = self.faces.embeddings[self._other_photo(row, rng)]

        if rng.random() < self.mix.morphs:
            second = int(rng.choice(self._like(row)))
            # Up to half: beyond that the second person is the first.
            share = float(rng.uniform(0.2, 0.5))
            source = morph(
                source, Source(self.faces.textures[second], self.faces.meshes[second]), share
            )
            embedding = centred(embedding * (1 - share) + self.faces.embeddings[second] * share)
            kinds: list[Kind] = ["cross"] * self.mix.targets
        else:
            kinds = [self._kind(rng) for _ in range(self.mix.targets)]

        if rng.random() < self.mix.blurred:
            # Soft textures are what small and compressed photos give.
            soft = cv2.GaussianBlur(source.texture, (0, 0), float(rng.uniform(0.5, 1.3)))
            source = Source(np.asarray(soft, np.uint8), source.mesh)

        return embedding, source.texture, [self._sample(row, source, kind, rng) for kind in kinds]

    def _kind(self, rng: Generator) -> Kind:
        draw = float(rng.random())
        if draw < self.mix.same:
            return "same"
        return "self" if draw < self.mix.same + self.mix.self_ else "cross"

    def _sample(self, row: int, source: Source, kind: Kind, rng: Generator) -> Sample:
        target_row = self._target(row, kind, rng)
        change = random_change(rng)
        gain = rng.uniform(1 - GAIN, 1 + GAIN, 3)
        target = np.clip(self.faces.swap_crop(target_row, change) * gain + 0.5, 0, 255).astype(
            np.uint8
        )
        mesh = transform(self.faces.meshes[target_row], change)
        mesh += rng.normal(0, MESH_NOISE_PX, mesh.shape).astype(np.float32)
        real = (target_row != row and kind == "same") or kind == "self"
        shown = self._someone_else(target_row, target, mesh, rng) if real else target

        if real and rng.random() < self.mix.relit:
            source = Source(self._relighting.relit(source.texture, rng), source.mesh)

        swap, placed = teach(self.canonical, source, shown, mesh)
        if not real and rng.random() < self.mix.spoilt:
            swap, _ = spoilt(self.canonical, source, target, mesh, Faults.drawn(rng))

        truth = target if real else swap
        known = 1 - _eyes(mesh) if real else np.ones_like(placed.mask)
        return Sample(shown, placed.texture, truth, placed.mask, known, float(real))

    def _someone_else(
        self, row: int, target: RgbImage, mesh: Landmarks, rng: Generator
    ) -> RgbImage:
        """Return the photograph with someone else's face: shown itself, the net would learn to copy
        what it is shown.
        """
        other = self._target(row, "cross", rng)
        source = Source(self.faces.textures[other], self.faces.meshes[other])
        return teach(self.canonical, source, target, mesh)[0]

    def _target(self, row: int, kind: Kind, rng: Generator) -> int:
        if kind == "self":
            return row
        if kind == "same":
            return self._other_photo(row, rng)

        drawn = rng.choice(self._rows, 4)
        others = drawn[self.faces.persons[drawn] != self.faces.persons[row]]
        apart = np.abs(self.faces.yaws[others] - self.faces.yaws[row])

        return int(others[apart.argmin()]) if len(others) else row

    def _other_photo(self, row: int, rng: Generator) -> int:
        """Return another photo of the same person, on the same side of the mirror.

        The same one if there is none.
        """
        half = len(self.faces.persons) // 2
        rows = self.faces.rows_of[str(self.faces.persons[row])]
        rows = rows[(rows != row) & ((rows < half) == (row < half))]

        return int(rng.choice(rows)) if len(rows) else row

    def _like(self, row: int) -> Array:
        """Return rows with a similar pose, so that a mix of two textures is a face and not a
        ghost.
        """
        near = np.abs(self.faces.yaws[self._rows] - self.faces.yaws[row]) < 12
        return self._rows[near] if near.any() else self._rows

    @cached_property
    def _relighting(self) -> Relighting:
        return Relighting(self.canonical)

    @cached_property
    def _rows(self) -> Array:
        return self.faces.training_rows

    @cached_property
    def _several(self) -> Array:
        """Training rows of people with more than one photo (a photo and its mirror image are
        one).
        """
        return np.array(
            [row for row in self._rows if len(self.faces.rows_of[str(self.faces.persons[row])]) > 2]
        )


def random_change(rng: Generator) -> Affine:
    """Return a small turn, zoom and shift of a swap crop (crop to crop)."""
    angle = np.radians(rng.uniform(-TURN_DEG, TURN_DEG))
    zoom = 1 + rng.uniform(-ZOOM, ZOOM)
    linear = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.full(2, (SIZE - 1) / 2)

    return np.column_stack([linear, centre - linear @ centre + rng.uniform(-MOVE_PX, MOVE_PX, 2)])


def _eyes(mesh: Landmarks) -> Array:
    """Return where the eyes of a swap crop are, float32 [224, 224] of 0 and 1.

    A photograph looks where neither texture nor target say: taught to guess, the net would blur
    the eyes, which the engine draws as they look.
    """
    drawn = np.zeros((SIZE, SIZE), np.float32)
    for eye in EYES:
        outline = cv2.convexHull(np.round(mesh[list(eye)]).astype(np.int32))
        cv2.fillConvexPoly(drawn, outline, 1.0)

    return np.asarray(cv2.dilate(drawn, np.ones((5, 5), np.uint8)))
