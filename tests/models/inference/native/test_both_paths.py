"""Whole frames, swapped with the kernels and without them, are the same to the eye."""

from __future__ import annotations

import numpy as np

from models.inference.engine import FaceSwapEngine
from models.inference.frames.i420 import I420Frame
from models.inference.native.kernels import Kernels
from models.inference.options import FaceSelector, SwapOptions
from models.inference.painting.face_swapper import CutSwapper, FaceSwapper, WholeSwapper
from models.inference.swapping.selection import Assignment
from tests.models.demo_media import SOLO, copied, frames_of, planes
from tests.models.inference.conftest import enrolled
from tests.models.inference.native.conftest import in_numpy

FRAMES = 12
LEAST_PSNR = 48.0  # dB over the pixels of the face


def test_swapped_frames_are_alike(native: Kernels, engine: FaceSwapEngine) -> None:
    frames = frames_of(SOLO, FRAMES)
    with_kernels = swapped(engine, frames, CutSwapper)
    with in_numpy():
        without = swapped(engine, frames, WholeSwapper)

    for before, one, other in zip(frames, with_kernels, without, strict=True):
        face = planes(one)[0] != planes(before)[0]
        apart = planes(one)[0][face].astype(float) - planes(other)[0][face]
        assert np.count_nonzero(face) > 10_000
        assert 10 * np.log10(255**2 / max(np.mean(apart**2), 1e-9)) > LEAST_PSNR


def test_the_same_frames_give_the_same_bytes(native: Kernels, engine: FaceSwapEngine) -> None:
    frames = frames_of(SOLO, 4)
    first = swapped(engine, frames, CutSwapper)
    again = swapped(engine, frames, CutSwapper)

    for one, other in zip(first, again, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(planes(one), planes(other), strict=True))


def swapped(
    engine: FaceSwapEngine, frames: list[I420Frame], kind: type[FaceSwapper]
) -> list[I420Frame]:
    engine.forget("ada")  # its session is opened as the kernels want it
    identity = enrolled(engine, "ada")
    assert isinstance(identity.swapper, kind)
    sequence = engine.sequence([Assignment(FaceSelector(), identity)], SwapOptions())
    copies = [copied(frame) for frame in frames]
    for index, frame in enumerate(copies):
        sequence.take(frame, index / 30)

    sequence.finish()
    engine.forget("ada")
    return copies
