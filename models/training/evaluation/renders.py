"""How a candidate renders a pair: the teacher by pasting, a student through its network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.inference.arrays import Mask, RgbImage
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.placed import Placed
from models.networks.iim import one_identity
from models.training.dataset import CANONICAL, FaceSet
from models.training.pairs import PairMaker, PairMix
from models.training.student import Student, TrainConfig
from models.training.teacher import composite

Rendered = tuple[RgbImage, Mask]
Render = Callable[[int, RgbImage, Placed], Rendered]
"""source row, target crop, placed texture -> swapped crop and the mask it was composited with."""


def teacher_render(_source: int, target: RgbImage, placed: Placed) -> Rendered:
    """Render as the teacher does."""
    return composite(placed, target), placed.mask


def student_render(student: Student, faces: FaceSet) -> Render:
    """Return how a student renders: face and mask composed as production composes them."""
    student.eval()

    @torch.inference_mode()
    def render(source: int, target: RgbImage, placed: Placed) -> Rendered:
        embedding = torch.from_numpy(faces.embeddings[source])[None]
        weights = one_identity(student.specialise(embedding, _tensor(faces.textures[source])), 0)
        image = _tensor(target)
        texture = _tensor(placed.texture)
        face, mask = student.idn(image, weights, texture if student.guided else None)
        # A student without a mask head shows in the teacher's; with one, within the teacher's.
        shown = placed.mask if mask is None else placed.shaped(mask[0, 0].numpy())
        mixed = image + (face - image) * torch.from_numpy(shown)

        return _image(mixed), shown

    return render


def _tensor(image: RgbImage) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def _image(tensor: torch.Tensor) -> RgbImage:
    return np.asarray((tensor[0].permute(1, 2, 0) * 255 + 0.5).clamp(0, 255).byte().numpy())


def load_student(run: Path) -> tuple[Student, int]:
    """Return the averaged student of a run's newest state, and how many images it has seen."""
    state = torch.load(run / "state.pt", map_location="cpu", weights_only=True)
    # Older states have no `appearance`: it was off before it could be chosen.
    found = state["config"]
    config = TrainConfig(without=tuple(found["without"]), appearance=found.get("appearance", False))
    student = Student(config)
    # The average over the steps, which is what is published.
    student.load_state_dict(state["average"])
    mix = found["mix"]

    return student.eval(), int(state["steps"]) * mix["identities"] * mix["targets"]


@torch.no_grad()
def settle_norms(student: Student, faces: FaceSet, batches: int = 30) -> Student:
    """Measure the batch norms' statistics anew and return the student, ready to be used.

    The statistics kept in training are those of weights that moved on, and of the last few images;
    averaged weights under them give masks with holes.
    """
    norms = [module for module in student.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return student.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches

    pairs = PairMaker(faces, CanonicalFace.load(CANONICAL), PairMix(), seed=0)
    student.train()

    for step in range(batches):
        student(pairs.batch(step))

    return student.eval()
