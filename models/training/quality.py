"""Trains Q, the judge of teacher samples (docs/method.md 5), on teachers that were made worse by a
known amount.

Run as `python -m models.training.quality`. The paper grades a sample by how far the teacher's own
training had come; a computed teacher has no such past, so it is spoilt on purpose: a blurred
texture, a mesh of few points, colours left unmatched, a pose too far away. What is left of it is
the label.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.inference.arrays import Landmarks, RgbImage
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.placed import Placed
from models.networks.quality_scorer import QualityScorer, save_quality_scorer
from models.training.dataset import CANONICAL, FaceSet
from models.training.loop import prefetched
from models.training.teacher import Source, composite

log = logging.getLogger(__name__)

SCORER = Path(__file__).parent / "quality_scorer.npz"
BATCH = 32
SPOILT = 0.45  # of the samples, by each fault on its own
BLUR_PX = 4.0
POSE_DEG = 40.0  # the yaw between source and target at which a teacher is worth 1/e
# How much of a fault there is to see: points this far off and colours this far apart are all of it.
POINTS_PX = 2.5
COLOUR_LEVELS = 45.0

Array = NDArray[Any]
Generator = np.random.Generator


@dataclass(frozen=True)
class Faults:
    """How far each fault goes, 0..1; 0 leaves the teacher as it is."""

    blur: float = 0.0
    few_points: float = 0.0
    foreign_colour: float = 0.0

    @classmethod
    def drawn(cls, rng: Generator) -> Faults:
        blur, few_points, foreign_colour = rng.random(3) * (rng.random(3) < SPOILT)
        return cls(blur=blur, few_points=few_points, foreign_colour=foreign_colour)


@dataclass(frozen=True)
class GradedTeacher:
    """Draws teacher samples and their grades from some rows of the training material."""

    faces: FaceSet
    canonical: CanonicalFace
    rows: Array

    def draw(self, rng: Generator) -> tuple[RgbImage, float]:
        """Return a swap, uint8 RGB [224, 224, 3], and its grade 0..1."""
        source, target = (int(row) for row in rng.choice(self.rows, 2, replace=False))
        if (
            rng.random() < 0.5
        ):  # else most pairs would differ in pose, and all good samples were rare
            target = self._near(source, rng)

        swap, kept = self.swap(source, target, Faults.drawn(rng))
        return swap, kept * self.worth_of_pose(source, target)

    def swap(self, source: int, target: int, faults: Faults) -> tuple[RgbImage, float]:
        """Return the teacher's swap of one row onto another, spoilt by `faults`, and what they left
        of it, 0..1.
        """
        identity = Source(self.faces.textures[source], self.faces.meshes[source])
        return spoilt(
            self.canonical,
            identity,
            self.faces.swap_crop(target),
            self.faces.meshes[target],
            faults,
        )

    def worth_of_pose(self, source: int, target: int) -> float:
        """Return what the turn of the head between two rows, and texels the photo never saw, leave
        of the quality.
        """
        gap = abs(float(self.faces.yaws[source] - self.faces.yaws[target]))
        return float(
            np.exp(-((gap / POSE_DEG) ** 2)) * np.clip(self.faces.weights[source] / 0.9, 0, 1)
        )

    def _near(self, row: int, rng: Generator) -> int:
        drawn = rng.choice(self.rows, 8)
        return int(drawn[np.abs(self.faces.yaws[drawn] - self.faces.yaws[row]).argmin()])


def spoilt(
    canonical: CanonicalFace, source: Source, target: RgbImage, mesh: Landmarks, faults: Faults
) -> tuple[RgbImage, float]:
    """Return the teacher's swap of a 224 px crop, spoilt by `faults`, and what they left of it,
    0..1.
    """
    texture = source.texture
    if faults.blur > 0:
        texture = np.asarray(
            cv2.GaussianBlur(texture, (0, 0), BLUR_PX * faults.blur + 0.3), np.uint8
        )

    moved = (_few_points(canonical, mesh) - mesh) * np.float32(faults.few_points)
    placed = canonical.place(texture, source.mesh, target, mesh + moved)
    cast = _colour_cast(placed, texture, target) * faults.foreign_colour
    points_off = min(1.0, float(np.linalg.norm(moved, axis=1).mean()) / POINTS_PX)
    colour_off = min(1.0, float(np.abs(cast).mean()) / COLOUR_LEVELS)

    return composite(_tinted(placed, cast), target), (1 - faults.blur) * (1 - points_off) * (
        1 - colour_off
    )


def _few_points(canonical: CanonicalFace, mesh: Landmarks) -> Landmarks:
    """Return the mesh that pose alone gives: the canonical face under the affine camera nearest to
    this one.
    """
    points = np.c_[canonical.mesh, np.ones(len(canonical.mesh))]
    # own.
    camera, *_ = np.linalg.lstsq(points, mesh, rcond=None)
    return np.asarray(points @ camera, np.float32)


def _colour_cast(placed: Placed, texture: RgbImage, target: RgbImage) -> Array:
    """Return what the photo's mean colour [3] differs by from the target's: what matching took
    away.
    """
    shown = placed.mask * (1 - placed.mouth)
    given = (target * shown[..., None]).sum((0, 1)) / (shown.sum() + 1e-6)
    return np.asarray(texture[60:160, 60:160].mean((0, 1)) - given)


def _tinted(placed: Placed, cast: Array) -> Placed:
    tinted = placed.texture + cast * (1 - placed.mouth)[..., None]
    return replace(placed, texture=np.clip(tinted, 0, 255).astype(np.uint8))


def graded_batches(teacher: GradedTeacher, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Return batches without end: images [32, 3, 224, 224] in 0..1 and grades [32], each made while
    the one before is learnt from.
    """

    def batch(step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((seed, step))
        images, grades = zip(*(teacher.draw(rng) for _ in range(BATCH)), strict=True)
        planes = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div(255)

        return planes.contiguous(memory_format=torch.channels_last), torch.tensor(
            grades, dtype=torch.float32
        )

    return prefetched(batch)


def train(
    teacher: GradedTeacher, minutes: float, seed: int = 0, learning_rate: float = 2e-3
) -> QualityScorer:
    """Return a scorer trained with L2 for `minutes` of wall clock, its step size falling to zero
    over that time.
    """
    torch.manual_seed(seed)
    network: QualityScorer = QualityScorer().to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(network.parameters(), learning_rate)
    started = time.monotonic()

    for step, (images, grades) in enumerate(graded_batches(teacher, seed)):
        spent = (time.monotonic() - started) / (60 * minutes)
        if spent >= 1:
            break

        optimiser.param_groups[0]["lr"] = learning_rate * min(1.0, 1.5 * (1 - spent))
        loss = F.mse_loss(network(images), grades)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

        if step % 25 == 0:
            log.info("learning to grade", extra={"step": step, "l2": round(loss.item(), 4)})
    return network.eval()


@dataclass(frozen=True)
class Agreement:
    """How a scorer agrees with the grades of people it has never seen: L2, the grades' own
    variance, correlation.
    """

    l2: float
    variance: float
    correlation: float


@torch.no_grad()
def agreement(network: QualityScorer, teacher: GradedTeacher, batches: int = 12) -> Agreement:
    """Return the scorer's agreement with the grades of fresh samples."""
    drawn = graded_batches(teacher, seed=1)
    pairs = [(network(images), grades) for images, grades in (next(drawn) for _ in range(batches))]
    scores, grades = (torch.cat(column) for column in zip(*pairs, strict=True))
    correlation = torch.corrcoef(torch.stack([scores, grades]))[0, 1]

    return Agreement(float(F.mse_loss(scores, grades)), float(grades.var()), float(correlation))


def main() -> None:
    """Train the scorer from the command line, print its agreement on the `eval` split and write its
    weights.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, default=Path("var/training/faces"))
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=SCORER)
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s step %(step)s L2 %(l2)s"
    )
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    faces = FaceSet.load(arguments.faces)
    canonical = CanonicalFace.load(CANONICAL)
    network = train(GradedTeacher(faces, canonical, faces.training_rows), arguments.minutes)
    found = agreement(network, GradedTeacher(faces, canonical, faces.evaluation_rows))
    print(
        f"people never seen: L2 {found.l2:.4f}, grades' variance {found.variance:.4f}, r"
        f" {found.correlation:.3f}"
    )
    save_quality_scorer(network, arguments.out)


if __name__ == "__main__":
    main()
