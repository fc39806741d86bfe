"""Bars P-2 and P-5: what an identity and a paste cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.bar import Figure, bar
from benchmarks.quality.loaded import engine, enrolled
from models.inference.arrays import BgrImage
from models.inference.engine import FaceSwapEngine
from models.inference.frames.affine import invert
from models.inference.identity import IdentityCode, SpecialisedWeights
from tests.models.demo_media import of_planes


@bar("P-2")
def a_new_identity_is_ready_within_one_generator_pass() -> Figure:
    """From stored code and weights to a ready session, over one generator pass.

    And the memory that it holds.
    """
    ada = enrolled("ada")
    stored = ada.code.to_bytes(), engine().specialise(ada.code).to_bytes()
    target = np.zeros((224, 224, 3), np.uint8)
    texture = ada.code.texture
    rounds = 24
    # Room for all, so that none is dropped while memory is measured.
    roomy = FaceSwapEngine.load(engine().pack, device="cpu", max_sessions=rounds)
    _make_ready(roomy, "the first", stored)
    # Before and after, of the whole process: what ONNX Runtime holds counts.
    before_kib = _resident_kib()

    for index in range(rounds):
        _make_ready(roomy, f"identity {index}", stored)

    held_mib = (_resident_kib() - before_kib) / 1024 / rounds
    ready_ms = list[float]()
    pass_ms = list[float]()

    for index in range(rounds):  # in turns, so that a busy machine slows both
        ready_ms.append(_ms(partial(_make_ready, roomy, f"newcomer {index}", stored)))
        pass_ms.append(_ms(lambda: ada.swapper.swap(target, texture)))

    ready = float(np.median(ready_ms))
    generator = float(np.median(pass_ms))
    print(
        f"ready in {ready:.1f} ms, one pass {generator:.1f} ms; {held_mib:.2f} MiB held for each of"
        f" {rounds} identities"
    )
    ratio = ready / generator

    return Figure(ratio, "of a generator pass", "<= 1, <= 5 MB held", ratio <= 1 and held_mib <= 5)


def _make_ready(swapping: FaceSwapEngine, key: str, stored: tuple[bytes, bytes]) -> None:
    swapping.identity(
        key, IdentityCode.from_bytes(stored[0]), SpecialisedWeights.from_bytes(stored[1])
    )


def _resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


@bar("P-5")
def pasting_into_the_planes_beats_pasting_the_whole_frame() -> Figure:
    """A large face at 1080p: blending the region straight into I420 planes, against the whole BGR
    frame in numpy.
    """
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (1080, 1920, 3), np.uint8)
    # As a decoder gives them: limited range, two quarter planes.
    video = of_planes(
        rng.integers(16, 235, shape, np.uint8) for shape in ((1080, 1920), (540, 960), (540, 960))
    )
    face = rng.integers(0, 255, (224, 224, 3), np.uint8)
    mask = np.zeros((224, 224), np.float32)
    cv2.ellipse(mask, (112, 112), (80, 100), 0, 0, 360, 1.0, -1)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 4), np.float32)
    # A face of 600 px in the middle, slightly turned.
    to_crop = np.array([[0.36, 0.03, -240.0], [-0.03, 0.36, -60.0]])
    whole = list[float]()
    region = list[float]()

    for _ in range(15):
        whole.append(_ms(lambda: _paste_whole_frame(image, face, mask, invert(to_crop))))
        region.append(_ms(lambda: video.paste(face, mask, to_crop)))

    slow = float(np.median(whole))
    fast = float(np.median(region))
    print(f"whole frame in numpy {slow:.1f} ms, region in the planes {fast:.2f} ms")

    return Figure(slow / fast, "times faster", ">= 8", slow / fast >= 8)


def _paste_whole_frame(
    image: BgrImage,
    face: NDArray[np.uint8],
    mask: NDArray[np.float32],
    to_frame: NDArray[np.float64],
) -> BgrImage:
    # As most implementations do it: the whole frame, in floating point.
    size = (image.shape[1], image.shape[0])
    placed = cv2.warpAffine(face, to_frame, size).astype(np.float32)
    weight = cv2.warpAffine(mask, to_frame, size)[..., None]
    return np.asarray(placed * weight + image.astype(np.float32) * (1 - weight), np.uint8)


def _ms(work: Callable[[], object]) -> float:
    """CPU time, not wall time: other processes may share the cores."""
    began = time.thread_time()
    work()
    return (time.thread_time() - began) * 1e3
